-- One row for everything that has content of its own: its object name and the statement that counts and digests it.
-- The digest adds up one hash a row, so the order of rows does not matter. The hash is the one that places rows in hash
-- partitions: servers keep it the same from version to version, and it costs less than half of md5. Columns go by name,
-- because a restored inheritance child may hold them in another order. A partitioned table has no rows of its own and is
-- listed with none.
SELECT 'table ' || t.name AS object,
       format('SELECT json_build_object(''object'', %L, ''kind'', ''content'', ''rows'', count(*), ''digest'','
              ' coalesce(sum(hashtextextended(ROW(%s)::text COLLATE "C", 0)), 0)::text) FROM ONLY %s AS xtask_row',
              'table ' || t.name, t.columns, t.name) AS statement
  FROM (SELECT format('%I.%I', n.nspname, c.relname) AS name, c.relpages,
               coalesce((SELECT string_agg(format('xtask_row.%I', a.attname), ', ' ORDER BY a.attname COLLATE "C")
                           FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), '') AS columns
          FROM pg_class c
          JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
           AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'xtask_quarantine')
           AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')) AS t
UNION ALL
-- Rows that a selective restore set aside, as rows of the table that they were taken from; the name of theirs is its name.
SELECT 'set aside of table ' || c.relname,
       format('SELECT json_build_object(''object'', %L, ''kind'', ''definition'', ''digest'','
              ' coalesce(sum(hashtextextended(ROW(%s)::text COLLATE "C", 0)), 0)::text) FROM ONLY xtask_quarantine.%I AS xtask_row',
              'set aside of table ' || c.relname,
              (SELECT string_agg(format('xtask_row.%I', a.attname), ', ' ORDER BY a.attname COLLATE "C")
                 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), c.relname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'r' AND n.nspname = 'xtask_quarantine' AND c.relname <> 'foreign_keys'
UNION ALL
-- Of an extension's tables a dump holds those that are registered for it, and of these the rows that the registered words
-- (`WHERE …`, or nothing) choose. The others are the extension's own, or in no dump.
SELECT 'extension table ' || t.name,
       format('SELECT json_build_object(''object'', %L, ''kind'', ''content'', ''rows'', count(*), ''digest'','
              ' coalesce(sum(hashtextextended(ROW(%s)::text COLLATE "C", 0)), 0)::text) FROM (SELECT * FROM %s%s %s' || chr(10) || ') AS xtask_row',
              'extension table ' || t.name, t.columns, CASE t.condition WHEN '' THEN 'ONLY ' END, t.name, t.condition)
  FROM (SELECT format('%I.%I', n.nspname, c.relname) AS name, g.condition,
               coalesce((SELECT string_agg(format('xtask_row.%I', a.attname), ', ' ORDER BY a.attname COLLATE "C")
                           FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), '') AS columns
          FROM pg_extension x
         CROSS JOIN LATERAL unnest(x.extconfig, x.extcondition) AS g (oid, condition)
          JOIN pg_class c ON c.oid = g.oid AND c.relkind = 'r'
          JOIN pg_namespace n ON n.oid = c.relnamespace) AS t
UNION ALL
-- Read in pieces: one large object may be larger than a value can be.
SELECT 'largeobjects',
       $$WITH RECURSIVE piece (oid, at, size, hash) AS (
           SELECT l.oid, 0::bigint, length(p.data), md5(p.data)
             FROM pg_largeobject_metadata l, LATERAL (SELECT lo_get(l.oid, 0, 4194304) AS data) p
           UNION ALL
           SELECT q.oid, q.at + 4194304, length(p.data), md5(p.data)
             FROM piece q, LATERAL (SELECT lo_get(q.oid, q.at + 4194304, 4194304) AS data) p
            WHERE q.size = 4194304)
         SELECT json_build_object('object', 'largeobjects', 'kind', 'content', 'rows', count(DISTINCT oid), 'digest',
                coalesce(sum(('x' || left(md5(format('%s/%s/%s/%s', oid, at, size, hash)), 15))::bit(60)::bigint), 0)::text)
           FROM piece$$
