-- Looks at who has the name that is to be restored. Leaves the psql variables `present` and, when it is, `objects`: how many
-- tables, views, sequences, functions, types and large objects it holds beyond its extensions', asked while connected to it.
-- Variables: name, target (the name as a connection string), maintenance.
\set objects 0
SELECT count(*) > 0 AS present FROM pg_database WHERE datname = :'name' \gset
\if :present
\connect -reuse-previous=on :"target"
SELECT count(*) AS objects FROM (
  SELECT 'pg_class'::regclass, c.oid, c.relnamespace FROM pg_class c WHERE c.relkind IN ('r', 'p', 'm', 'f', 'v', 'S') AND c.relpersistence <> 't'
  UNION ALL SELECT 'pg_proc'::regclass, p.oid, p.pronamespace FROM pg_proc p
  UNION ALL SELECT 'pg_type'::regclass, t.oid, t.typnamespace FROM pg_type t WHERE t.typtype IN ('e', 'd', 'r')
  UNION ALL SELECT 'pg_largeobject'::regclass, l.oid, NULL FROM pg_largeobject_metadata l
) AS o (class, oid, namespace) LEFT JOIN pg_namespace n ON n.oid = o.namespace
 WHERE (n.oid IS NULL OR n.nspname !~ '^pg_' AND n.nspname <> 'information_schema')
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = o.class AND d.objid = o.oid AND d.deptype = 'e') \gset
\endif
