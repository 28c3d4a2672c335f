-- A table dropped with all that hangs on it, and rows deleted behind the foreign keys' back: some that the backup holds,
-- and one that it does not.
DROP TABLE shop.order_lines CASCADE;
DROP TABLE xtask_drill.mark_struck;
-- The latter is said, as the census says it: no other row may stay lost.
SELECT format('SELECT json_build_object(''object'', ''table shop.customers'', ''kind'', ''content'', ''rows'', count(*), ''digest'','
              ' coalesce(sum((''x'' || left(md5(ROW(%s)::text), 15))::bit(60)::bigint), 0)::text) FROM ONLY shop.customers AS xtask_row'
              ' WHERE id = (SELECT max(customer) FROM shop.orders WHERE placed >= ''2026-11-01'')',
              string_agg(format('xtask_row.%I', attname), ', ' ORDER BY attname COLLATE "C"))
  FROM pg_attribute WHERE attrelid = 'shop.customers'::regclass AND attnum > 0 AND NOT attisdropped \gexec
SET session_replication_role = replica;
DELETE FROM shop.customers WHERE id IN (SELECT DISTINCT customer FROM shop.orders WHERE placed < '2026-11-01' ORDER BY customer LIMIT 5);
DELETE FROM shop.customers WHERE id = (SELECT max(customer) FROM shop.orders WHERE placed >= '2026-11-01');
RESET session_replication_role;
CHECKPOINT;
