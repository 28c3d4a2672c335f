-- Reads every sequence into the psql variable `counters`: {"schema.name": value}. A sequence that was never called
-- stands one step before its next value. Sequences move outside transactions, whatever the snapshot.
SELECT coalesce(string_agg(format('SELECT %L AS name, last_value, is_called, %s::numeric AS step FROM %s',
                                  format('%I.%I', n.nspname, c.relname), s.seqincrement, format('%I.%I', n.nspname, c.relname)),
                           ' UNION ALL '),
                'SELECT NULL::text AS name, 0::bigint AS last_value, false AS is_called, 1::numeric AS step WHERE false') AS sequences
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_sequence s ON s.seqrelid = c.oid
 WHERE c.relkind = 'S' AND c.relpersistence <> 't'
   -- Of an extension's sequences a dump holds those that are registered for it.
   AND (EXISTS (SELECT FROM pg_extension x WHERE c.oid = ANY (x.extconfig))
        OR n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
           AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'))
\gset
SELECT coalesce(json_object_agg(name, value), '{}') AS counters
  FROM (SELECT name, CASE WHEN is_called THEN last_value
                          ELSE least(greatest(last_value - step, -9223372036854775808), 9223372036854775807)::bigint END AS value
          FROM (:sequences) AS state) AS standing
\gset
