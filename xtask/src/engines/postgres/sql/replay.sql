-- Runs the statements of a script that was copied, line by line, into pg_temp.script. Roles may exist already: the
-- script is meant for servers that know some of them. With the setting `xtask.roles`, a name a line, no other role is made or changed. `xtask_database` in it stands for the setting `xtask.database`. A statement that fails is not quoted: it may hold a password.
DO $replay$
DECLARE
  next text;
  statement text := '';
  role text;
  roles text := current_setting('xtask.roles', true);
BEGIN
  FOR next IN SELECT coalesce(line, '') FROM pg_temp.script ORDER BY number LOOP
    -- Between statements: blank lines, comments, and the client's own commands (\restrict).
    CONTINUE WHEN statement = '' AND (next = '' OR next LIKE '--%' OR left(next, 1) = '\');
    statement := statement || next || E'\n';
    -- A semicolon ends a statement only outside of quotes.
    CONTINUE WHEN next NOT LIKE '%;' OR regexp_replace(statement, $$'([^']|'')*'|"([^"]|"")*"$$, '', 'g') ~ $$['"]$$;
    IF roles IS NOT NULL AND statement !~ '^(GRANT|REVOKE) .* ON DATABASE ' AND statement !~ '^ALTER ROLE ("([^"]|"")*"|[^ ]+) IN DATABASE ' THEN
      role := coalesce(substring(statement FROM '^(?:CREATE ROLE|ALTER ROLE|COMMENT ON ROLE) ("(?:[^"]|"")*"|[^ ;]+)'),
                       substring(statement FROM '^GRANT (?:"(?:[^"]|"")*"|[^ ]+) TO ("(?:[^"]|"")*"|[^ ;]+)'),
                       CASE WHEN statement ~ '^GRANT .* ON PARAMETER ' THEN '' END);
      IF role IS NOT NULL AND role <> ALL (string_to_array(roles, E'\n')) THEN
        statement := '';
        CONTINUE;
      END IF;
    END IF;
    BEGIN
      EXECUTE regexp_replace(statement, 'DATABASE xtask_database\M', 'DATABASE ' || coalesce(nullif(current_setting('xtask.database', true), ''), 'xtask_database'));
    EXCEPTION
      WHEN duplicate_object THEN NULL;
      WHEN insufficient_privilege THEN
        -- Since PostgreSQL 16 a superuser may not grant in the name of another one, and the first one of the source is not the
        -- first one here: the membership counts, not who gave it.
        IF statement !~ '^GRANT .* GRANTED BY ' THEN
          RAISE;
        END IF;
        EXECUTE regexp_replace(statement, ' GRANTED BY .*;', ';');
    END;
    statement := '';
  END LOOP;
  IF statement <> '' THEN
    RAISE EXCEPTION 'the script ends within a statement';
  END IF;
END $replay$;
