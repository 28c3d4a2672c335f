-- Ends what tables.sql began: the keys are made anew by the server, which checks every row, and each table must be what the backup promises.
DO $keys$
DECLARE
  k record;
BEGIN
  FOR k IN SELECT * FROM pg_temp.foreign_keys WHERE to_regclass(child) IS NOT NULL AND to_regclass(parent) IS NOT NULL ORDER BY child, name LOOP
    BEGIN
      EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I %s', k.child, k.name, k.definition);
    EXCEPTION WHEN foreign_key_violation THEN
      RAISE EXCEPTION 'xtask: foreign key % of %: %', k.name, k.child, SQLERRM;
    END;
    IF k.said IS NOT NULL THEN
      EXECUTE format('COMMENT ON CONSTRAINT %I ON %s IS %L', k.name, k.child, k.said);
    END IF;
  END LOOP;
END $keys$;
CREATE TEMP TABLE contents ON COMMIT DROP AS SELECT object, statement FROM ({contents}) AS content (object, statement) WHERE object IN (SELECT object FROM pg_temp.promised);
DO $verify$
DECLARE
  wanted record;
  found json;
BEGIN
  FOR wanted IN SELECT p.object, p.rows, p.digest, c.statement FROM pg_temp.promised AS p LEFT JOIN pg_temp.contents AS c ON c.object = p.object LOOP
    IF wanted.statement IS NULL THEN
      RAISE EXCEPTION 'xtask: restored tables: % is not there', wanted.object;
    END IF;
    EXECUTE wanted.statement INTO found;
    IF found ->> 'rows' IS DISTINCT FROM wanted.rows OR found ->> 'digest' IS DISTINCT FROM wanted.digest THEN
      RAISE EXCEPTION 'xtask: restored tables: % is not what was backed up (% rows, % promised): its definition may have changed since', wanted.object, found ->> 'rows', wanted.rows;
    END IF;
  END LOOP;
END $verify$;
-- A counter never goes back behind a number that is in use.
DO $counters$
DECLARE
  q record;
BEGIN
  FOR q IN
    SELECT format('%I.%I', n.nspname, s.relname) AS name, a.attname AS col, c.oid::regclass AS holder
      FROM pg_class s JOIN pg_namespace n ON n.oid = s.relnamespace JOIN pg_sequence p ON p.seqrelid = s.oid AND p.seqincrement > 0
      JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = s.oid AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
      JOIN pg_class c ON c.oid = d.refobjid JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
     WHERE c.oid IN (SELECT to_regclass(name) FROM pg_temp.chosen)
    UNION
    -- Also one that the column does not own, and only draws its default from.
    SELECT format('%I.%I', n.nspname, s.relname), a.attname, e.adrelid::regclass
      FROM pg_attrdef e JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = e.oid AND d.refclassid = 'pg_class'::regclass
      JOIN pg_class s ON s.oid = d.refobjid AND s.relkind = 'S' JOIN pg_namespace n ON n.oid = s.relnamespace
      JOIN pg_sequence p ON p.seqrelid = s.oid AND p.seqincrement > 0
      JOIN pg_attribute a ON a.attrelid = e.adrelid AND a.attnum = e.adnum AND a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
     WHERE e.adrelid IN (SELECT to_regclass(name) FROM pg_temp.chosen)
  LOOP
    EXECUTE format('SELECT setval(%L, n) FROM (SELECT max(%I) AS n FROM %s) AS highest WHERE n > (SELECT last_value - (NOT is_called)::int FROM %s)', q.name, q.col, q.holder, q.name);
  END LOOP;
END $counters$;
SELECT format('ANALYZE %s', name) FROM pg_temp.chosen WHERE to_regclass(name) IS NOT NULL \gexec
-- Views show the tables as they are; what was computed of them once does not.
WITH RECURSIVE readers (oid) AS (
  SELECT to_regclass(name)::oid FROM pg_temp.chosen
  UNION
  SELECT r.ev_class FROM readers JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = readers.oid AND d.classid = 'pg_rewrite'::regclass
    JOIN pg_rewrite r ON r.oid = d.objid
)
SELECT format('note=materialized view %1$I.%2$I reads what was restored and still shows what was there before: REFRESH MATERIALIZED VIEW %1$I.%2$I', n.nspname, c.relname)
  FROM readers JOIN pg_class c ON c.oid = readers.oid AND c.relkind = 'm' AND c.relispopulated JOIN pg_namespace n ON n.oid = c.relnamespace ORDER BY 1;
SET LOCAL synchronous_commit = on;
