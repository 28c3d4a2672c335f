-- Writes what belongs to the database itself, and is in no dump of it, as a script: settings (those of all roles, too), owner,
-- rights, comment, and the roles' passwords. The database is called xtask_database in it.
WITH this AS (
  SELECT *, pg_get_userbyid(datdba) AS owner, shobj_description(oid, 'pg_database') AS said FROM pg_database WHERE datname = current_database()
), line (at, text) AS (
  SELECT 1, current_setting('xtask.script')
  UNION ALL SELECT 2, format('ALTER DATABASE xtask_database OWNER TO %I;', owner) FROM this
  UNION ALL SELECT 3, format('ALTER DATABASE xtask_database CONNECTION LIMIT %s;', datconnlimit) FROM this WHERE datconnlimit <> -1
  UNION ALL SELECT 4, format('COMMENT ON DATABASE xtask_database IS %L;', said) FROM this WHERE said IS NOT NULL
  UNION ALL SELECT 5, 'REVOKE ALL ON DATABASE xtask_database FROM PUBLIC;' FROM this WHERE datacl IS NOT NULL
  UNION ALL SELECT 6, format('REVOKE ALL ON DATABASE xtask_database FROM %I;', owner) FROM this WHERE datacl IS NOT NULL
  UNION ALL
  SELECT 7, format('GRANT %s ON DATABASE xtask_database TO %s%s;', a.privilege_type,
                   CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END, CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' END)
    FROM this, aclexplode(datacl) a
  UNION ALL
  -- A list (search_path) is given back name by name, as it was stored; anything else as one literal.
  SELECT 8, format('ALTER %s SET %s TO %s;',
                   CASE WHEN s.setdatabase = 0 THEN 'ROLE ALL' WHEN s.setrole = 0 THEN 'DATABASE xtask_database' ELSE format('ROLE %I IN DATABASE xtask_database', pg_get_userbyid(s.setrole)) END,
                   (SELECT string_agg(quote_ident(part), '.') FROM unnest(string_to_array(split_part(e.entry, '=', 1), '.')) part),
                   CASE WHEN split_part(e.entry, '=', 1) IN ('search_path', 'temp_tablespaces', 'session_preload_libraries', 'shared_preload_libraries',
                                                             'local_preload_libraries', 'unix_socket_directories')
                        THEN coalesce((SELECT string_agg(quote_literal(CASE WHEN left(m[1], 1) = '"' THEN replace(substr(m[1], 2, length(m[1]) - 2), '""', '"') ELSE m[1] END), ', ')
                                         FROM regexp_matches(substr(e.entry, strpos(e.entry, '=') + 1), '"(?:[^"]|"")*"|[^,\s]+', 'g') m), '''''')
                        ELSE quote_literal(substr(e.entry, strpos(e.entry, '=') + 1)) END)
    FROM this JOIN pg_db_role_setting s ON s.setdatabase = this.oid OR s.setdatabase = 0 AND s.setrole = 0, LATERAL unnest(s.setconfig) AS e (entry)
)
SELECT text FROM line WHERE text <> '' ORDER BY at, text
