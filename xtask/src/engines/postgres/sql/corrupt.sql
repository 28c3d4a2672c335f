-- A table dropped with all that hangs on it, and rows deleted behind the foreign keys' back: some that the backup holds,
-- and one that it does not.
DROP TABLE shop.order_lines CASCADE;
DROP TABLE xtask_drill.mark_struck;
SET session_replication_role = replica;
DELETE FROM shop.customers WHERE id IN (SELECT DISTINCT customer FROM shop.orders WHERE placed < '2026-11-01' ORDER BY customer LIMIT 5);
DELETE FROM shop.customers WHERE id = (SELECT max(customer) FROM shop.orders WHERE placed >= '2026-11-01');
RESET session_replication_role;
CHECKPOINT;
