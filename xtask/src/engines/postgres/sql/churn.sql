-- Business after the backup: what is new, what has changed, and what is gone, among it rows that restored tables refer to.
SET search_path = shop, public;
INSERT INTO customers (email, name, country, since) SELECT 'late' || n || '@example.org', 'Late ' || n, 'AB', date '2026-11-01' FROM generate_series(1, 50) n;
INSERT INTO orders (customer, placed) SELECT id, timestamptz '2026-11-01' FROM customers WHERE email LIKE 'late%' AND id % 2 = 0;
INSERT INTO order_lines ("order", product, pieces, price) SELECT id, 1, 1, 9.5 FROM orders WHERE placed >= '2026-11-01';
UPDATE customers SET status = 'blocked' WHERE id % 41 = 7;
UPDATE products SET price = price + 1 WHERE id % 5 = 0;
-- A few old orders are deleted with their lines: lines that come back from the backup will have lost their order.
DELETE FROM returns WHERE line IN (SELECT id FROM order_lines WHERE "order" BETWEEN 21 AND 25);
DELETE FROM order_lines WHERE "order" BETWEEN 21 AND 25;
DELETE FROM payments WHERE "order" BETWEEN 21 AND 25;
DELETE FROM shipments WHERE "order" BETWEEN 21 AND 25;
DELETE FROM orders WHERE id BETWEEN 21 AND 25;
SELECT count(nextval('invoice_numbers')) AS drawn FROM generate_series(1, 5) \gset
