-- Prints a digest of every definition that a dump carries. Needs no right beyond connecting. What belongs to an extension
-- is left to the extension's own line; owners and rights are compared by the names of the roles.
WITH RECURSIVE extended AS (
  SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
), kept AS (
  SELECT oid, nspname, format('%I', nspname) AS name FROM pg_namespace
   WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'xtask_quarantine')
), relation AS (
  SELECT c.*, k.name AS schema, format('%s.%I', k.name, c.relname) AS name
    FROM pg_class c JOIN kept k ON k.oid = c.relnamespace
   WHERE c.relpersistence <> 't' AND NOT EXISTS (SELECT FROM extended e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid)
), holder AS (
  SELECT * FROM relation WHERE relkind IN ('r', 'p', 'f', 'v', 'm')
), owned_schema AS (
  SELECT n.oid, n.nspowner, n.nspacl, k.name FROM kept k JOIN pg_namespace n ON n.oid = k.oid
   WHERE NOT EXISTS (SELECT FROM extended e WHERE e.classid = 'pg_namespace'::regclass AND e.objid = n.oid)
), type AS (
  SELECT t.*, format('%s.%I', k.name, t.typname) AS name
    FROM pg_type t JOIN kept k ON k.oid = t.typnamespace
   WHERE NOT EXISTS (SELECT FROM extended e WHERE e.classid = 'pg_type'::regclass AND e.objid = t.oid)
     AND (t.typtype IN ('e', 'd', 'r') OR t.typtype = 'b' AND t.typelem = 0
          OR t.typtype = 'c' AND EXISTS (SELECT FROM pg_class c WHERE c.oid = t.typrelid AND c.relkind = 'c'))
), routine AS (
  SELECT p.*, format('%s.%I(%s)', k.name, p.proname, pg_get_function_identity_arguments(p.oid)) AS name
    FROM pg_proc p JOIN kept k ON k.oid = p.pronamespace
   WHERE NOT EXISTS (SELECT FROM extended e WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid)
), named (oid) AS (
  -- The roles that own something here or were granted something here, and whoever may act as one of them: the application's.
  SELECT datdba FROM pg_database WHERE datname = current_database()
  UNION SELECT nspowner FROM owned_schema
  -- An index or a composite type of an extension is not marked as the extension's: only its table or type is.
  UNION SELECT relowner FROM relation WHERE relkind NOT IN ('i', 'I', 'c')
  UNION SELECT proowner FROM routine
  UNION SELECT a.grantee FROM pg_database d, LATERAL aclexplode(d.datacl) a WHERE d.datname = current_database()
  UNION SELECT a.grantee FROM owned_schema n, LATERAL aclexplode(n.nspacl) a
  UNION SELECT a.grantee FROM relation c, LATERAL aclexplode(c.relacl) a
  UNION SELECT a.grantee FROM routine p, LATERAL aclexplode(p.proacl) a
  UNION SELECT m.member FROM pg_auth_members m JOIN named n ON n.oid = m.roleid
), rights AS (
  SELECT class, oid, string_agg(format('%s:%s%s', CASE grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(grantee) END, privilege_type,
                                       CASE WHEN is_grantable THEN '*' END), ' '
                                ORDER BY CASE grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(grantee) END COLLATE "C", privilege_type) AS acl
    FROM (SELECT 'pg_class'::regclass AS class, oid, coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner)) AS acl FROM relation
          UNION ALL SELECT 'pg_proc'::regclass, oid, coalesce(proacl, acldefault('f', proowner)) FROM routine
          UNION ALL SELECT 'pg_type'::regclass, oid, coalesce(typacl, acldefault('T', typowner)) FROM type
          UNION ALL SELECT 'pg_namespace'::regclass, oid, coalesce(nspacl, acldefault('n', nspowner)) FROM pg_namespace
          UNION ALL SELECT 'pg_database'::regclass, oid, coalesce(datacl, acldefault('d', datdba)) FROM pg_database
          UNION ALL SELECT 'pg_largeobject'::regclass, oid, coalesce(lomacl, acldefault('L', lomowner)) FROM pg_largeobject_metadata) AS a (class, oid, acl),
         LATERAL aclexplode(acl)
   GROUP BY class, oid
), definition (object, belongs, text) AS (
  SELECT 'schema ' || n.name, NULL, concat_ws('|', pg_get_userbyid(n.nspowner), r.acl,
         -- A fresh database comes with this comment; a dump does not carry it.
         nullif(obj_description(n.oid, 'pg_namespace'), 'standard public schema'))
    FROM owned_schema n LEFT JOIN rights r ON r.class = 'pg_namespace'::regclass AND r.oid = n.oid
  UNION ALL
  SELECT 'extension ' || quote_ident(e.extname), NULL, concat_ws('|', e.extversion, n.nspname, obj_description(e.oid, 'pg_extension'))
    FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
  UNION ALL
  SELECT CASE c.relkind WHEN 'v' THEN 'view ' WHEN 'm' THEN 'materialized view ' WHEN 'f' THEN 'foreign table ' ELSE 'options of table ' END || c.name,
         CASE WHEN c.relkind IN ('r', 'p') THEN c.name END,
         concat_ws('|', c.relkind, c.relpersistence, pg_get_userbyid(c.relowner), r.acl, c.relrowsecurity, c.relforcerowsecurity, c.relreplident, a.amname,
                   (SELECT string_agg(o, ',' ORDER BY o) FROM unnest(c.reloptions) o WHERE o !~ '^pg_'),
                   (SELECT string_agg(format('%s:%s', i.inhseqno, i.inhparent::regclass), ',' ORDER BY i.inhseqno) FROM pg_inherits i WHERE i.inhrelid = c.oid),
                   pg_get_partkeydef(c.oid), pg_get_expr(c.relpartbound, c.oid), nullif(c.reloftype, 0)::regtype,
                   (SELECT concat_ws(',', s.srvname, (SELECT string_agg(o, ',' ORDER BY o COLLATE "C") FROM unnest(f.ftoptions) o)) FROM pg_foreign_table f JOIN pg_foreign_server s ON s.oid = f.ftserver WHERE f.ftrelid = c.oid),
                   CASE c.relkind WHEN 'm' THEN c.relispopulated END,
                   CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END, obj_description(c.oid, 'pg_class'))
    FROM holder c LEFT JOIN pg_am a ON a.oid = c.relam LEFT JOIN rights r ON r.class = 'pg_class'::regclass AND r.oid = c.oid
  UNION ALL
  SELECT format('column %s.%I', c.name, a.attname), c.name,
         concat_ws('|', CASE WHEN NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid)
                             THEN row_number() OVER (PARTITION BY c.oid ORDER BY a.attnum) END,
                   format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated, pg_get_expr(d.adbin, d.adrelid),
                   (SELECT format('%I.%I', n.nspname, l.collname) FROM pg_collation l JOIN pg_namespace n ON n.oid = l.collnamespace WHERE l.oid = a.attcollation),
                   a.attstorage, to_jsonb(a) ->> 'attcompression',
                   -- Options named pg_… are the server's own bookkeeping (pg_attver, in recent minor versions): in no dump.
                   (SELECT string_agg(o, ',' ORDER BY o) FROM unnest(a.attoptions) o WHERE o !~ '^pg_'),
                   (SELECT string_agg(o, ',' ORDER BY o COLLATE "C") FROM unnest(a.attfdwoptions) o), nullif(coalesce(a.attstattarget, -1), -1),
                   (SELECT string_agg(format('%s:%s:%s', CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee) END, g.privilege_type, g.is_grantable), ' '
                                      ORDER BY pg_get_userbyid(g.grantee) COLLATE "C", g.privilege_type) FROM aclexplode(a.attacl) g),
                   col_description(c.oid, a.attnum))
    FROM holder c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
  UNION ALL
  -- A foreign key's copies on partitions are made anew by the server, under names of its own.
  SELECT format('constraint %s.%I', coalesce(c.name, 'domain ' || t.name), o.conname), c.name,
         concat_ws('|', pg_get_constraintdef(o.oid), o.convalidated, obj_description(o.oid, 'pg_constraint'))
    FROM pg_constraint o LEFT JOIN holder c ON c.oid = o.conrelid LEFT JOIN type t ON t.oid = o.contypid
   WHERE coalesce(c.oid, t.oid) IS NOT NULL AND NOT (o.contype = 'f' AND o.conparentid <> 0)
  UNION ALL
  -- An index that is not valid (an interrupted CREATE INDEX CONCURRENTLY) is in no dump.
  SELECT 'index ' || i.name, c.name, concat_ws('|', pg_get_indexdef(x.indexrelid), x.indisvalid, x.indisclustered, x.indisreplident, obj_description(i.oid, 'pg_class'))
    FROM pg_index x JOIN relation i ON i.oid = x.indexrelid JOIN holder c ON c.oid = x.indrelid
   WHERE x.indisvalid OR c.relkind = 'p'
  UNION ALL
  SELECT 'options of sequence ' || c.name, owner.name,
         concat_ws('|', format_type(s.seqtypid, NULL), s.seqstart, s.seqincrement, s.seqmax, s.seqmin, s.seqcache, s.seqcycle,
                   c.relpersistence, pg_get_userbyid(c.relowner), r.acl, owner.name, owner.attname, obj_description(c.oid, 'pg_class'))
    FROM relation c JOIN pg_sequence s ON s.seqrelid = c.oid
    LEFT JOIN rights r ON r.class = 'pg_class'::regclass AND r.oid = c.oid
    LEFT JOIN LATERAL (SELECT h.name, a.attname FROM pg_depend d JOIN holder h ON h.oid = d.refobjid
                         JOIN pg_attribute a ON a.attrelid = h.oid AND a.attnum = d.refobjsubid
                        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')) AS owner ON true
  UNION ALL
  SELECT 'function ' || p.name, NULL,
         concat_ws('|', pg_get_userbyid(p.proowner), r.acl, obj_description(p.oid, 'pg_proc'),
                   CASE p.prokind WHEN 'a' THEN (SELECT to_jsonb(g) - 'aggfnoid' || jsonb_build_object('aggtranstype', format_type(g.aggtranstype, NULL),
                                                        'aggmtranstype', format_type(nullif(g.aggmtranstype, 0), NULL), 'aggsortop', nullif(g.aggsortop, 0)::regoperator)
                                                   FROM pg_aggregate g WHERE g.aggfnoid = p.oid)::text
                                  ELSE pg_get_functiondef(p.oid) END)
    FROM routine p LEFT JOIN rights r ON r.class = 'pg_proc'::regclass AND r.oid = p.oid
  UNION ALL
  SELECT format('trigger %s.%I', c.name, t.tgname), c.name, concat_ws('|', pg_get_triggerdef(t.oid), t.tgenabled, obj_description(t.oid, 'pg_trigger'))
    FROM pg_trigger t JOIN holder c ON c.oid = t.tgrelid WHERE NOT t.tgisinternal
  UNION ALL
  SELECT format('rule %s.%I', c.name, u.rulename), c.name, concat_ws('|', pg_get_ruledef(u.oid), u.ev_enabled, obj_description(u.oid, 'pg_rewrite'))
    FROM pg_rewrite u JOIN holder c ON c.oid = u.ev_class WHERE u.rulename <> '_RETURN'
  UNION ALL
  SELECT format('policy %s.%I', c.name, p.polname), c.name,
         concat_ws('|', p.polcmd, p.polpermissive, pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid),
                   (SELECT string_agg(CASE o WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(o) END, ',' ORDER BY pg_get_userbyid(o)) FROM unnest(p.polroles) o))
    FROM pg_policy p JOIN holder c ON c.oid = p.polrelid
  UNION ALL
  SELECT 'type ' || t.name, NULL,
         concat_ws('|', t.typtype, pg_get_userbyid(t.typowner), r.acl, t.typnotnull, t.typdefault, format_type(nullif(t.typbasetype, 0), t.typtypmod),
                   nullif(t.typcollation, 0)::regcollation, obj_description(t.oid, 'pg_type'),
                   (SELECT string_agg(quote_literal(e.enumlabel), ',' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid),
                   (SELECT string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ',' ORDER BY a.attnum)
                      FROM pg_attribute a WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped),
                   (SELECT format_type(g.rngsubtype, NULL) FROM pg_range g WHERE g.rngtypid = t.oid))
    FROM type t LEFT JOIN rights r ON r.class = 'pg_type'::regclass AND r.oid = t.oid
  UNION ALL
  SELECT format('statistics %s.%I', k.name, s.stxname), c.name, concat_ws('|', pg_get_statisticsobjdef(s.oid), pg_get_userbyid(s.stxowner))
    FROM pg_statistic_ext s JOIN kept k ON k.oid = s.stxnamespace LEFT JOIN holder c ON c.oid = s.stxrelid
  UNION ALL
  SELECT 'event trigger ' || quote_ident(v.evtname), NULL, concat_ws('|', v.evtevent, v.evtfoid::regproc, v.evtenabled, v.evttags, pg_get_userbyid(v.evtowner))
    FROM pg_event_trigger v WHERE NOT EXISTS (SELECT FROM extended e WHERE e.classid = 'pg_event_trigger'::regclass AND e.objid = v.oid)
  UNION ALL
  SELECT format('publication %I', p.pubname), NULL,
         concat_ws('|', p.puballtables, p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate, p.pubviaroot,
                   (SELECT string_agg(x.prrelid::regclass::text, ',' ORDER BY x.prrelid::regclass::text) FROM pg_publication_rel x WHERE x.prpubid = p.oid))
    FROM pg_publication p
  UNION ALL
  SELECT format('foreign server %I', s.srvname), NULL, -- A dump writes options by their names, here and with all that is foreign.
         concat_ws('|', w.fdwname, s.srvtype, s.srvversion, (SELECT string_agg(o, ',' ORDER BY o COLLATE "C") FROM unnest(s.srvoptions) o), pg_get_userbyid(s.srvowner))
    FROM pg_foreign_server s JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw
   WHERE NOT EXISTS (SELECT FROM extended e WHERE e.classid = 'pg_foreign_server'::regclass AND e.objid = s.oid)
  UNION ALL
  -- The view shows options to whom a dump would show them.
  SELECT format('user mapping for %I at server %I', m.usename, m.srvname), NULL, (SELECT string_agg(o, ',' ORDER BY o COLLATE "C") FROM unnest(m.umoptions) o)
    FROM pg_user_mappings m
   WHERE NOT EXISTS (SELECT FROM extended e WHERE e.classid = 'pg_foreign_server'::regclass AND e.objid = m.srvid)
  UNION ALL
  SELECT format('cast %s to %s', format_type(c.castsource, NULL), format_type(c.casttarget, NULL)), NULL, concat_ws('|', nullif(c.castfunc, 0)::regprocedure, c.castcontext, c.castmethod)
    FROM pg_cast c WHERE c.oid >= 16384 AND NOT EXISTS (SELECT FROM extended e WHERE e.classid = 'pg_cast'::regclass AND e.objid = c.oid)
  UNION ALL
  SELECT format('operator %s', o.oid::regoperator), NULL, concat_ws('|', o.oprcode, o.oprrest, o.oprjoin, o.oprcanmerge, o.oprcanhash, nullif(o.oprcom, 0)::regoperator, nullif(o.oprnegate, 0)::regoperator)
    FROM pg_operator o JOIN kept k ON k.oid = o.oprnamespace
   WHERE o.oprcode <> 0 AND NOT EXISTS (SELECT FROM extended e WHERE e.classid = 'pg_operator'::regclass AND e.objid = o.oid)
  UNION ALL
  SELECT format('operator class %s.%I for %s', k.name, o.opcname, a.amname), NULL, concat_ws('|', format_type(o.opcintype, NULL), o.opcdefault)
    FROM pg_opclass o JOIN kept k ON k.oid = o.opcnamespace JOIN pg_am a ON a.oid = o.opcmethod
   WHERE NOT EXISTS (SELECT FROM extended e WHERE e.classid = 'pg_opclass'::regclass AND e.objid = o.oid)
  UNION ALL
  SELECT format('collation %s.%I', k.name, l.collname), NULL, (to_jsonb(l) - '{oid,collnamespace,collowner,collversion}'::text[])::text
    FROM pg_collation l JOIN kept k ON k.oid = l.collnamespace
   WHERE NOT EXISTS (SELECT FROM extended e WHERE e.classid = 'pg_collation'::regclass AND e.objid = l.oid)
  UNION ALL
  SELECT format('text search configuration %s.%I', k.name, f.cfgname), NULL,
         concat_ws('|', f.cfgparser::regproc, (SELECT string_agg(format('%s:%s:%s', m.maptokentype, m.mapseqno, m.mapdict::regdictionary), ',' ORDER BY m.maptokentype, m.mapseqno)
                                                 FROM pg_ts_config_map m WHERE m.mapcfg = f.oid))
    FROM pg_ts_config f JOIN kept k ON k.oid = f.cfgnamespace
   WHERE NOT EXISTS (SELECT FROM extended e WHERE e.classid = 'pg_ts_config'::regclass AND e.objid = f.oid)
  UNION ALL
  SELECT format('text search dictionary %s.%I', k.name, f.dictname), NULL, concat_ws('|', t.tmplname, f.dictinitoption)
    FROM pg_ts_dict f JOIN kept k ON k.oid = f.dictnamespace JOIN pg_ts_template t ON t.oid = f.dicttemplate
   WHERE NOT EXISTS (SELECT FROM extended e WHERE e.classid = 'pg_ts_dict'::regclass AND e.objid = f.oid)
  UNION ALL
  SELECT format('default rights %s of %I in %s', d.defaclobjtype, pg_get_userbyid(d.defaclrole), coalesce(quote_ident(n.nspname), 'all schemas')), NULL,
         (SELECT string_agg(format('%s:%s:%s', grantee::regrole, privilege_type, is_grantable), ',' ORDER BY grantee::regrole::text, privilege_type) FROM aclexplode(d.defaclacl))
    FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
  UNION ALL
  SELECT 'owners of largeobjects', NULL, string_agg(concat_ws('|', l.oid, pg_get_userbyid(l.lomowner), r.acl, obj_description(l.oid, 'pg_largeobject')), ',' ORDER BY l.oid)
    FROM pg_largeobject_metadata l LEFT JOIN rights r ON r.class = 'pg_largeobject'::regclass AND r.oid = l.oid
  UNION ALL
  SELECT 'setting ' || quote_ident(split_part(s.entry, '=', 1)) || coalesce(' of ' || quote_ident(pg_get_userbyid(nullif(x.setrole, 0))), CASE x.setdatabase WHEN 0 THEN ' of all roles' END, ''), NULL, s.entry
    FROM pg_db_role_setting x LEFT JOIN pg_database d ON d.oid = x.setdatabase, LATERAL unnest(x.setconfig) AS s (entry)
   WHERE d.datname = current_database() OR x.setdatabase = 0 AND x.setrole = 0
  UNION ALL
  SELECT 'setting of the database', NULL, concat_ws('|', pg_encoding_to_char(d.encoding), d.datcollate, d.datctype, to_jsonb(d) ->> 'datlocprovider',
         coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale'), to_jsonb(d) ->> 'daticurules', d.datconnlimit, pg_get_userbyid(d.datdba), r.acl, shobj_description(d.oid, 'pg_database'))
    FROM pg_database d LEFT JOIN rights r ON r.class = 'pg_database'::regclass AND r.oid = d.oid WHERE d.datname = current_database()
  UNION ALL
  -- Without passwords, which only a superuser may see.
  SELECT 'role ' || quote_ident(o.rolname), NULL,
         concat_ws('|', o.rolsuper, o.rolinherit, o.rolcreaterole, o.rolcreatedb, o.rolcanlogin, o.rolreplication, o.rolbypassrls, o.rolconnlimit, o.rolvaliduntil,
                   (SELECT string_agg(entry, ',' ORDER BY entry) FROM unnest(o.rolconfig) AS entry),
                   (SELECT string_agg(DISTINCT pg_get_userbyid(m.roleid), ',') FROM pg_auth_members m WHERE m.member = o.oid))
    FROM pg_roles o WHERE o.rolname !~ '^pg_' AND o.oid IN (SELECT oid FROM named)
  UNION ALL
  -- What hangs on a table: views fall with it when it is dropped with CASCADE, and a selective restore brings them back.
  SELECT DISTINCT format('use of %s by %s %s', c.name, CASE v.relkind WHEN 'm' THEN 'materialized view' ELSE 'view' END, v.name), c.name, ''
    FROM pg_depend d JOIN pg_rewrite u ON u.oid = d.objid JOIN holder v ON v.oid = u.ev_class AND v.relkind IN ('v', 'm')
    JOIN holder c ON c.oid = d.refobjid AND c.oid <> v.oid
   WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'n'
  UNION ALL
  SELECT format('use of %s by foreign key %s.%I', p.name, c.name, o.conname), p.name, ''
    FROM pg_constraint o JOIN holder c ON c.oid = o.conrelid JOIN holder p ON p.oid = o.confrelid WHERE o.contype = 'f' AND o.conparentid = 0
  UNION ALL
  SELECT format('use of %s by table %s', p.name, c.name), p.name, ''
    FROM pg_inherits i JOIN holder c ON c.oid = i.inhrelid JOIN holder p ON p.oid = i.inhparent
), steady AS (
  -- The server prints `ARRAY['a'::varchar]::text[]` once as written and, after a dump and a restore, as `ARRAY[('a'::varchar)::text]`.
  SELECT object, belongs, CASE WHEN text LIKE '%ARRAY[%' THEN regexp_replace(text, '::(character varying|text|bpchar|character)(\(\d+\))?(\[\])?|[()\s]', '', 'g')
                               ELSE text END AS text
    FROM definition
)
SELECT json_strip_nulls(json_build_object('object', object, 'kind', 'definition', 'table', belongs, 'digest', md5(coalesce(text, '')))) FROM steady;
