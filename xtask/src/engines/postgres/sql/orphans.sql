-- A line for every foreign key: how many rows refer to rows that do not exist. A row with a NULL in its key refers to
-- nothing (MATCH SIMPLE). A key whose tables cannot be read has no line: its tables have theirs.
SELECT answer FROM (
  SELECT pg_temp.xtask_read('', format('SELECT json_build_object(''object'', %L, ''kind'', ''orphans'', ''constraint'', %L, ''parent'', %L, ''rows'', count(*)) FROM %s child WHERE %s AND NOT EXISTS (SELECT FROM %s parent WHERE %s)',
                                       'table ' || k.child, k.conname, 'table ' || k.parent, k.child_from, k.present, k.parent_from, k.same)) AS answer
    FROM (SELECT o.conname, format('%I.%I', cn.nspname, c.relname) AS child, format('%I.%I', pn.nspname, p.relname) AS parent,
                 CASE c.relkind WHEN 'p' THEN '' ELSE 'ONLY ' END || format('%I.%I', cn.nspname, c.relname) AS child_from,
                 CASE p.relkind WHEN 'p' THEN '' ELSE 'ONLY ' END || format('%I.%I', pn.nspname, p.relname) AS parent_from,
                 string_agg(format('child.%I IS NOT NULL', ca.attname), ' AND ') AS present,
                 string_agg(format('parent.%I OPERATOR(%I.%s) child.%I', pa.attname, opn.nspname, op.oprname, ca.attname), ' AND ') AS same
            FROM pg_constraint o
            JOIN pg_class c ON c.oid = o.conrelid JOIN pg_namespace cn ON cn.oid = c.relnamespace
            JOIN pg_class p ON p.oid = o.confrelid JOIN pg_namespace pn ON pn.oid = p.relnamespace
           CROSS JOIN LATERAL unnest(o.conkey, o.confkey, o.conpfeqop) AS key (child, parent, operator)
            JOIN pg_attribute ca ON ca.attrelid = c.oid AND ca.attnum = key.child
            JOIN pg_attribute pa ON pa.attrelid = p.oid AND pa.attnum = key.parent
            JOIN pg_operator op ON op.oid = key.operator JOIN pg_namespace opn ON opn.oid = op.oprnamespace
           WHERE o.contype = 'f' AND o.conparentid = 0 AND cn.nspname <> 'xtask_quarantine'
           GROUP BY o.oid, o.conname, c.relkind, p.relkind, cn.nspname, c.relname, pn.nspname, p.relname) AS k) AS r
 WHERE answer ->> 'kind' = 'orphans';
