-- One row for every foreign key, with the words of the join between its tables. A copy on a partition is made by the
-- server; a key that was never validated (NOT VALID) promises nothing of older rows.
SELECT o.conname AS name, format('%I.%I', cn.nspname, c.relname) AS child, format('%I.%I', pn.nspname, p.relname) AS parent,
       CASE c.relkind WHEN 'p' THEN '' ELSE 'ONLY ' END || format('%I.%I', cn.nspname, c.relname) AS child_from,
       CASE p.relkind WHEN 'p' THEN '' ELSE 'ONLY ' END || format('%I.%I', pn.nspname, p.relname) AS parent_from,
       string_agg(format('child.%I IS NOT NULL', ca.attname), ' AND ' ORDER BY key.at) AS present,
       string_agg(format('parent.%I OPERATOR(%I.%s) child.%I', pa.attname, opn.nspname, op.oprname, ca.attname), ' AND ' ORDER BY key.at) AS same,
       o.convalidated AS valid, pg_get_constraintdef(o.oid) AS definition, obj_description(o.oid, 'pg_constraint') AS said
  FROM pg_constraint o
  JOIN pg_class c ON c.oid = o.conrelid JOIN pg_namespace cn ON cn.oid = c.relnamespace
  JOIN pg_class p ON p.oid = o.confrelid JOIN pg_namespace pn ON pn.oid = p.relnamespace
 CROSS JOIN LATERAL unnest(o.conkey, o.confkey, o.conpfeqop) WITH ORDINALITY AS key (child, parent, operator, at)
  JOIN pg_attribute ca ON ca.attrelid = c.oid AND ca.attnum = key.child
  JOIN pg_attribute pa ON pa.attrelid = p.oid AND pa.attnum = key.parent
  JOIN pg_operator op ON op.oid = key.operator JOIN pg_namespace opn ON opn.oid = op.oprnamespace
 WHERE o.contype = 'f' AND o.conparentid = 0 AND cn.nspname <> 'xtask_quarantine'
 GROUP BY o.oid, o.conname, o.convalidated, c.relkind, p.relkind, cn.nspname, c.relname, pn.nspname, p.relname
