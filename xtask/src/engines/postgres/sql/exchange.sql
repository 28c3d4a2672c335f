-- Gives the proven copy the real name, and the database that has it another one: one transaction, so whatever happens the name is the old
-- one's or the restored one's. Nothing is changed before it that would outlive a kill. A rename locks its database against new sessions
-- at once and then waits some seconds for the last ones to go; whoever came in between makes it fail, and it is tried again.
-- Variables: name, fresh, old, replace, disconnect.
SELECT set_config('xtask.name', :'name', false), set_config('xtask.fresh', :'fresh', false), set_config('xtask.old', :'old', false),
       set_config('xtask.replace', :'replace', false), set_config('xtask.disconnect', :'disconnect', false) \g /dev/null
-- Waits for the disk, and by the log's order everything that was loaded before is on it then.
SET synchronous_commit = on;
SET lock_timeout = '20s';
DO $$
DECLARE
  name text := current_setting('xtask.name');
  fresh text := current_setting('xtask.fresh');
  disconnect boolean := current_setting('xtask.disconnect');
  tries int := 0;
BEGIN
  LOOP
    tries := tries + 1;
    BEGIN
      PERFORM pg_stat_clear_snapshot();
      PERFORM pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = fresh;
      IF current_setting('xtask.replace')::boolean AND EXISTS (SELECT FROM pg_database WHERE datname = name) THEN
        PERFORM pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = name AND (disconnect OR application_name LIKE 'xtask-%');
        EXECUTE format('ALTER DATABASE %I RENAME TO %I', name, current_setting('xtask.old'));
      END IF;
      EXECUTE format('ALTER DATABASE %I RENAME TO %I', fresh, name);
      EXIT;
    EXCEPTION WHEN object_in_use THEN
      IF tries >= 10 OR NOT disconnect THEN
        RAISE EXCEPTION 'xtask: sessions: %', SQLERRM;
      END IF;
    END;
  END LOOP;
END $$;
