-- Prints how many tables there are, and whether any of them holds a row. What belongs to an extension is not counted.
DO $$
DECLARE
  next regclass;
  tables int := 0;
  filled boolean := false;
BEGIN
  FOR next IN
    SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
       AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
     ORDER BY c.relpages DESC
  LOOP
    tables := tables + 1;
    IF NOT filled THEN
      EXECUTE format('SELECT EXISTS (SELECT FROM ONLY %s)', next) INTO filled;
    END IF;
  END LOOP;
  PERFORM set_config('xtask.tables', tables::text, false), set_config('xtask.filled', filled::text, false);
END $$;
SELECT 'tables=' || current_setting('xtask.tables');
SELECT 'filled=' || current_setting('xtask.filled');
