-- Looks at who has the name that is to be restored. Leaves the psql variables `present` and, when it is, `tables`: how many
-- tables it holds beyond its extensions', asked while connected to it. Variables: name, maintenance.
\set tables 0
SELECT count(*) > 0 AS present FROM pg_database WHERE datname = :'name' \gset
\if :present
\connect :"name"
SELECT count(*) AS tables FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'm', 'f') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e') \gset
\endif
