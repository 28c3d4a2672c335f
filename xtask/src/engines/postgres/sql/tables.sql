-- Replaces the rows of tables by the backup's, and brings back those that are gone, in one transaction: all of it or nothing.
-- pg_temp.chosen (name, there) and pg_temp.promised (object, rows, digest) are filled, and pg_temp.kept holds the backup's foreign keys.
SELECT format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', name) FROM pg_temp.chosen WHERE there ORDER BY name \gexec
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
