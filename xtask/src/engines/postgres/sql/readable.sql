-- Prints the role, and a line for everything that a dump would read and this role may not.
SELECT 'role=' || quote_ident(current_user);
SELECT CASE WHEN row_security_active(c.oid) THEN 'policy=' ELSE 'denied=' END || format('%s %I.%I', CASE c.relkind WHEN 'S' THEN 'sequence' ELSE 'table' END, n.nspname, c.relname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'S') AND c.relpersistence <> 't'
   -- Of an extension's tables and sequences a dump reads those that are registered for it.
   AND (EXISTS (SELECT FROM pg_extension x WHERE c.oid = ANY (x.extconfig))
        OR n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
           AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'))
   AND (NOT has_schema_privilege(n.oid, 'usage') OR CASE c.relkind WHEN 'S' THEN NOT has_sequence_privilege(c.oid, 'select')
                                                                   ELSE NOT has_table_privilege(c.oid, 'select') OR row_security_active(c.oid) END)
 ORDER BY 1;
SELECT 'objects=' || count(*) FROM pg_largeobject_metadata l
 WHERE NOT EXISTS (SELECT FROM aclexplode(coalesce(l.lomacl, acldefault('L', l.lomowner))) a
                    WHERE a.privilege_type = 'SELECT' AND (a.grantee = 0 OR pg_has_role(a.grantee, 'usage')))
   AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user);
