-- Prints what no dump of this database holds although people may expect it, a line key=value each; newlines in names are
-- printed as blanks. What cannot be looked at counts as there: a line too many costs a glance, a line too few the data.
DO $$
DECLARE
  next record;
  holds boolean;
  tables text[] := '{}';
  others text[] := '{}';
  may_list boolean := has_function_privilege('pg_catalog.pg_ls_dir(text,boolean,boolean)', 'execute');
BEGIN
  -- An extension's rows are dumped only where it registered the table for that; the others come with its script, or not at all.
  FOR next IN
    SELECT format('%I.%I', n.nspname, c.relname) AS name
      FROM pg_depend d JOIN pg_class c ON c.oid = d.objid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
       AND c.relkind = 'r' AND c.relpersistence <> 't' AND NOT EXISTS (SELECT FROM pg_extension x WHERE c.oid = ANY (x.extconfig))
     ORDER BY 1
  LOOP
    BEGIN
      EXECUTE format('SELECT EXISTS (SELECT FROM ONLY %s)', next.name) INTO holds;
    EXCEPTION WHEN insufficient_privilege OR lock_not_available THEN holds := true;
    END;
    IF holds THEN tables := tables || next.name; END IF;
  END LOOP;
  -- Another database's tables are seen by their owners, or by their files: those of a fresh database have numbers below 16384.
  FOR next IN SELECT oid, datname, dattablespace FROM pg_database WHERE datname <> current_database() AND NOT datistemplate ORDER BY datname LOOP
    holds := next.datname <> 'postgres';
    IF may_list AND next.dattablespace = (SELECT oid FROM pg_tablespace WHERE spcname = 'pg_default') THEN
      EXECUTE 'SELECT EXISTS (SELECT FROM pg_ls_dir($1, true, false) AS file WHERE file ~ ''^[0-9]+$'' AND file::bigint >= 16384)'
         INTO holds USING 'base/' || next.oid;
    END IF;
    IF holds OR EXISTS (SELECT FROM pg_shdepend s WHERE s.dbid = next.oid AND s.classid = 'pg_class'::regclass) THEN
      others := others || quote_ident(next.datname);
    END IF;
  END LOOP;
  PERFORM set_config('xtask.tables', array_to_string(tables, ', '), false), set_config('xtask.others', array_to_string(others, ', '), false);
END $$;
SELECT key || '=' || translate(value, E'\r\n', '  ') FROM (
  SELECT 'unkept_tables', current_setting('xtask.tables')
  UNION ALL SELECT 'other_databases', current_setting('xtask.others')
  UNION ALL
  SELECT 'subscriptions', string_agg(quote_ident(s.subname), ', ' ORDER BY s.subname)
    FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid WHERE d.datname = current_database()
  UNION ALL
  SELECT 'catalog_functions', string_agg(p.oid::regprocedure::text, ', ' ORDER BY p.oid)
    FROM pg_proc p WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.oid >= 16384
     AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
  UNION ALL
  -- By the view's own rule of who may read the options; a dump reads them there too.
  SELECT 'hidden_user_mappings', string_agg(format('%I at server %I', m.usename, m.srvname), ', ' ORDER BY m.usename, m.srvname)
    FROM pg_user_mappings m JOIN pg_foreign_server s ON s.oid = m.srvid
   WHERE m.umoptions IS NULL AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
     AND NOT CASE m.umuser WHEN 0 THEN pg_has_role(s.srvowner, 'usage')
                           ELSE m.usename = current_user AND (pg_has_role(s.srvowner, 'usage') OR has_server_privilege(s.oid, 'usage')) END
) AS unkept (key, value) WHERE value <> '';
