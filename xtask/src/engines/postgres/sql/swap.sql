-- Gives the restored database its real name. The last act of a restore: one transaction, so the name is the old
-- state's or the restored one's, never nobody's. Variables: name, fresh, old, maintenance; present and objects by the
-- question before.
SELECT :objects > 0 AS filled \gset
\if :filled
SELECT set_config('xtask.refusal', format('xtask: database %I holds %s tables or other objects', :'name', :'objects'), false) AS said \gset
DO $$ BEGIN RAISE EXCEPTION '%', current_setting('xtask.refusal'); END $$;
\endif
\if :present
\connect :"maintenance"
-- Applications stay out from here on; a superuser does not, so that this can be tried again.
ALTER DATABASE :"name" CONNECTION LIMIT 0;
SELECT count(pg_terminate_backend(pid, 10000)) AS ended FROM pg_stat_activity WHERE datname = :'name' \gset
\endif
SELECT count(pg_terminate_backend(pid, 10000)) AS ended FROM pg_stat_activity WHERE datname = :'fresh' AND pid <> pg_backend_pid() \gset
-- What an earlier restore put aside was empty.
DROP DATABASE IF EXISTS :"old" WITH (FORCE);
-- Waits for the disk, and by the log's order everything that was loaded before is on it then.
SET synchronous_commit = on;
BEGIN;
SELECT format('ALTER DATABASE %I RENAME TO %I', :'name', :'old') WHERE :'present' \gexec
ALTER DATABASE :"fresh" RENAME TO :"name";
COMMIT;
DROP DATABASE IF EXISTS :"old" WITH (FORCE);
