-- Asks the way an application does: a row of every table, through whatever index or page comes first.
DO $$
DECLARE
  next regclass;
  tables int := 0;
BEGIN
  FOR next IN
    SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'm') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
       AND (c.relkind <> 'm' OR c.relispopulated) AND has_table_privilege(c.oid, 'select') AND has_schema_privilege(n.oid, 'usage')
  LOOP
    EXECUTE format('SELECT FROM %s LIMIT 1', next);
    tables := tables + 1;
  END LOOP;
  IF tables = 0 AND NOT current_setting('xtask.may_be_empty')::boolean THEN
    RAISE EXCEPTION 'no table of database % can be asked', current_database();
  END IF;
  PERFORM set_config('xtask.tables', tables::text, false);
END $$;
