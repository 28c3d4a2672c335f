-- Keeps every foreign key's definition where it survives this session, lets go of those that refer to tables which cannot
-- be read, and empties these tables. pg_temp.unreadable (name) names them.
SET lock_timeout = '60s';
BEGIN;
SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', k.child, k.name) FROM xtask_quarantine.foreign_keys k
  JOIN pg_constraint o ON o.conname = k.name AND o.conrelid = to_regclass(k.child) WHERE k.parent IN (SELECT name FROM pg_temp.unreadable) \gexec
SELECT format('TRUNCATE ONLY %s', name) FROM pg_temp.unreadable \gexec
COMMIT;
