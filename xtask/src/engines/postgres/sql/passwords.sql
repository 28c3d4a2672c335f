-- Reads the roles' passwords where that is allowed, as a script; nothing elsewhere.
DO $$
DECLARE
  script text;
BEGIN
  IF has_table_privilege('pg_authid', 'select') THEN
    EXECUTE $q$SELECT string_agg(format('ALTER ROLE %I PASSWORD %L;', rolname, rolpassword), E'\n' ORDER BY rolname)
                 FROM pg_authid WHERE rolpassword IS NOT NULL AND rolname !~ '^pg_'$q$ INTO script;
  END IF;
  PERFORM set_config('xtask.script', coalesce(script, ''), false);
END $$;
