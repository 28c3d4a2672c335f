-- Replaces the rows of tables by the backup's, and brings back those that are gone, in one transaction: all of it or nothing.
-- pg_temp.chosen (name, there) and pg_temp.promised (object, rows, digest) are filled, and pg_temp.kept holds the backup's foreign keys.
SELECT format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', name) FROM pg_temp.chosen WHERE there ORDER BY name \gexec
-- Loading switches all triggers off and on again, and TRUNCATE fires its own: neither is undone afterwards.
DO $triggers$
DECLARE
  t record;
BEGIN
  FOR t IN SELECT g.tgname, g.tgrelid::regclass AS holder, g.tgenabled <> 'O' AS odd FROM pg_trigger g
            WHERE g.tgrelid IN (SELECT to_regclass(name) FROM pg_temp.chosen WHERE there) AND (g.tgenabled <> 'O' OR NOT g.tgisinternal AND g.tgtype & 32 <> 0)
            ORDER BY g.tgname LOOP
    RAISE EXCEPTION 'xtask: trigger % of % %', t.tgname, t.holder, CASE WHEN t.odd THEN 'is not in its usual state (DISABLE, ENABLE REPLICA or ALWAYS), and would be afterwards' ELSE 'fires when the table is emptied' END;
  END LOOP;
END $triggers$;
CREATE TEMP TABLE foreign_keys ON COMMIT DROP AS
SELECT name, child, parent, definition, said FROM ({keys}) AS live
 WHERE child IN (SELECT name FROM pg_temp.chosen) OR parent IN (SELECT name FROM pg_temp.chosen);
SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', child, name) FROM pg_temp.foreign_keys \gexec
INSERT INTO pg_temp.foreign_keys
SELECT name, child, parent, definition, said FROM pg_temp.kept AS k
 WHERE (child IN (SELECT name FROM pg_temp.chosen WHERE NOT there) OR parent IN (SELECT name FROM pg_temp.chosen WHERE NOT there))
   AND NOT EXISTS (SELECT FROM pg_temp.foreign_keys AS f WHERE f.child = k.child AND f.name = k.name);
SELECT format('TRUNCATE TABLE %s%s', CASE c.relkind WHEN 'p' THEN '' ELSE 'ONLY ' END, t.name)
  FROM pg_temp.chosen AS t JOIN pg_class AS c ON c.oid = to_regclass(t.name) WHERE t.there ORDER BY t.name \gexec
