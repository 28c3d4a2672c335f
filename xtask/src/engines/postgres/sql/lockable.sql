-- What pg_dump locks, by now: `hold` is one statement that locks it all, `listed` says what it is. A table of an extension is
-- read by a dump only where it is registered for that; what may not be read has been refused by then.
SELECT coalesce('LOCK TABLE ' || string_agg('ONLY ' || name, ', ' ORDER BY oid) || ' IN ACCESS SHARE MODE', 'SET LOCAL search_path = ''''') AS hold,
       md5(coalesce(string_agg(oid || name, ' ' ORDER BY oid), '')) AS listed
  FROM (SELECT c.oid, format('%I.%I', n.nspname, c.relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND has_table_privilege(c.oid, 'select') AND has_schema_privilege(n.oid, 'usage')
           AND (EXISTS (SELECT FROM pg_extension x WHERE c.oid = ANY (x.extconfig))
                OR n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
                   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'))) AS t
