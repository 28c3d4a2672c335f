-- Gives the restored database its real name. The last act of a restore: one transaction, so the name is the old
-- state's or the restored one's, never nobody's. Variables: name, fresh, old.
SELECT count(*) > 0 AS present FROM pg_database WHERE datname = :'name' \gset
\if :present
\connect :"name"
SELECT count(*) AS tables FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'm', 'f') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e') \gset
SELECT :tables > 0 AS filled \gset
\if :filled
SELECT set_config('xtask.refusal', format('xtask: database %I holds %s tables', :'name', :'tables'), false) AS said \gset
DO $$ BEGIN RAISE EXCEPTION '%', current_setting('xtask.refusal'); END $$;
\endif
\connect :"maintenance"
ALTER DATABASE :"name" ALLOW_CONNECTIONS false;
SELECT count(pg_terminate_backend(pid, 10000)) AS ended FROM pg_stat_activity WHERE datname = :'name' \gset
\endif
SELECT count(pg_terminate_backend(pid, 10000)) AS ended FROM pg_stat_activity WHERE datname = :'fresh' AND pid <> pg_backend_pid() \gset
CHECKPOINT;
BEGIN;
SELECT format('ALTER DATABASE %I RENAME TO %I', :'name', :'old') WHERE :'present' \gexec
ALTER DATABASE :"fresh" RENAME TO :"name";
COMMIT;
DROP DATABASE IF EXISTS :"old" WITH (FORCE);
