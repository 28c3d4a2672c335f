-- Makes every foreign key true again. pg_temp.staged (parent, rows) names the tables whose rows of the backup are at hand,
-- pg_temp.touched (name) the tables that were restored. Triggers sleep: rows are put back, nothing happens anew.
SET session_replication_role = replica;
DO $$
DECLARE
  k record;
  s record;
  cols text;
  moved bigint;
  round bigint;
  total bigint := 0;
BEGIN
  -- Parents that are referred to come back; those that nobody misses may have been deleted on purpose.
  LOOP
    round := 0;
    FOR s IN SELECT * FROM pg_temp.staged LOOP
      SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) INTO cols
        FROM pg_attribute a JOIN pg_attribute b ON b.attrelid = s.rows AND b.attname = a.attname AND b.attnum > 0 AND NOT b.attisdropped
       WHERE a.attrelid = to_regclass(s.parent) AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '';
      FOR k IN SELECT * FROM xtask_quarantine.foreign_keys f WHERE f.parent = s.parent AND f.valid AND to_regclass(f.child) IS NOT NULL LOOP
        EXECUTE format('INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM %s parent WHERE EXISTS (SELECT FROM %s child WHERE %s AND %s'
                       ' AND NOT EXISTS (SELECT FROM %s parent WHERE %s)) ON CONFLICT DO NOTHING',
                       k.parent, cols, cols, s.rows, k.child_from, k.present, k.same, k.parent_from, k.same);
        GET DIAGNOSTICS moved = ROW_COUNT;
        round := round + moved;
      END LOOP;
    END LOOP;
    EXIT WHEN round = 0;
  END LOOP;
  -- What still refers to nothing is set aside, not thrown away; that may orphan others in turn.
  LOOP
    round := 0;
    FOR k IN SELECT * FROM xtask_quarantine.foreign_keys f WHERE f.valid AND to_regclass(f.child) IS NOT NULL AND to_regclass(f.parent) IS NOT NULL LOOP
      EXECUTE format('SELECT count(*) FROM %s child WHERE %s AND NOT EXISTS (SELECT FROM %s parent WHERE %s)', k.child_from, k.present, k.parent_from, k.same) INTO moved;
      CONTINUE WHEN moved = 0;
      EXECUTE format('CREATE TABLE IF NOT EXISTS xtask_quarantine.%I (LIKE %s)', k.child, k.child);
      EXECUTE format('WITH aside AS (DELETE FROM %s child WHERE %s AND NOT EXISTS (SELECT FROM %s parent WHERE %s) RETURNING child.*)'
                     ' INSERT INTO xtask_quarantine.%I SELECT * FROM aside', k.child_from, k.present, k.parent_from, k.same, k.child);
      INSERT INTO pg_temp.touched VALUES (k.child);
      round := round + moved;
    END LOOP;
    total := total + round;
    EXIT WHEN round = 0;
  END LOOP;
  PERFORM set_config('xtask.quarantined', total::text, false);
END $$;
SET session_replication_role = origin;
-- The server itself checks every key of a touched table: a key that is there is dropped and made anew.
SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', k.child, k.name) FROM xtask_quarantine.foreign_keys k
  JOIN pg_constraint o ON o.conname = k.name AND o.conrelid = to_regclass(k.child)
 WHERE k.child IN (SELECT name FROM pg_temp.touched) OR k.parent IN (SELECT name FROM pg_temp.touched) OR k.parent IN (SELECT parent FROM pg_temp.staged) \gexec
SELECT format('ALTER TABLE %s ADD CONSTRAINT %I %s', k.child, k.name, k.definition) FROM xtask_quarantine.foreign_keys k
 WHERE to_regclass(k.child) IS NOT NULL AND to_regclass(k.parent) IS NOT NULL
   AND NOT EXISTS (SELECT FROM pg_constraint o WHERE o.conname = k.name AND o.conrelid = to_regclass(k.child))
UNION ALL
SELECT format('COMMENT ON CONSTRAINT %I ON %s IS %L', k.name, k.child, k.said) FROM xtask_quarantine.foreign_keys k
 WHERE k.said IS NOT NULL AND to_regclass(k.child) IS NOT NULL AND to_regclass(k.parent) IS NOT NULL \gexec
-- A counter never goes back behind a number that is in use.
DO $$
DECLARE
  q record;
BEGIN
  FOR q IN
    SELECT format('%I.%I', n.nspname, s.relname) AS name, a.attname AS col, c.oid::regclass AS holder
      FROM pg_class s JOIN pg_namespace n ON n.oid = s.relnamespace JOIN pg_sequence p ON p.seqrelid = s.oid AND p.seqincrement > 0
      JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = s.oid AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
      JOIN pg_class c ON c.oid = d.refobjid JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
     WHERE c.oid IN (SELECT to_regclass(name) FROM pg_temp.touched UNION SELECT to_regclass(parent) FROM pg_temp.staged)
  LOOP
    EXECUTE format('SELECT setval(%L, n) FROM (SELECT max(%I) AS n FROM %s) AS highest WHERE n > (SELECT last_value FROM %s)', q.name, q.col, q.holder, q.name);
  END LOOP;
END $$;
SELECT format('ANALYZE %s', name) FROM (SELECT name FROM pg_temp.touched UNION SELECT parent FROM pg_temp.staged) AS t WHERE to_regclass(name) IS NOT NULL \gexec
DROP TABLE xtask_quarantine.foreign_keys;
SELECT 'quarantined=' || current_setting('xtask.quarantined');
SELECT 'DROP SCHEMA xtask_quarantine' WHERE NOT EXISTS (SELECT FROM pg_class WHERE relnamespace = 'xtask_quarantine'::regnamespace) \gexec
