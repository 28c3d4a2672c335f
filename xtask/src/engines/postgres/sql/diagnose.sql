-- Functions of this session only: they read, and say what could not be read instead of failing.
CREATE FUNCTION pg_temp.xtask_read(object text, statement text) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
  answer json;
BEGIN
  EXECUTE statement INTO answer;
  RETURN answer;
-- Losing the connection, being told to stop or waiting for a lock is not the table's damage.
EXCEPTION WHEN lock_not_available OR query_canceled OR admin_shutdown OR crash_shutdown OR out_of_memory OR disk_full THEN RAISE;
          WHEN OTHERS THEN RETURN json_build_object('object', object, 'kind', 'unreadable', 'error', format('%s (%s)', SQLERRM, SQLSTATE));
END $$;
-- A materialized view has nothing that must come back, but one that cannot be read must be made anew.
SELECT answer FROM (
  SELECT pg_temp.xtask_read(format('materialized view %I.%I', n.nspname, c.relname), format('SELECT to_json(count(md5(x::text))) FROM %I.%I x', n.nspname, c.relname)) AS answer
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'm' AND c.relispopulated) AS r
 WHERE json_typeof(answer) = 'object';
