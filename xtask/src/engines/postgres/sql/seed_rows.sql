-- Fills the shop with about `bytes` bytes; the same rows every time. Three quarters are events, which hold text that
-- hardly compresses beyond its alphabet, as real payloads do.
SET search_path = shop, public;
SET TimeZone = 'UTC';
SET synchronous_commit = off;
SET ROLE shop_owner;
SELECT greatest(:bytes / 10000, 400) AS orders, greatest(:bytes / 40000, 100) AS customers, greatest(:bytes / 200000, 50) AS products,
       greatest(:bytes / 1500, 500) AS events, greatest(:bytes / 200000, 20) AS documents \gset
BEGIN;
INSERT INTO countries SELECT chr(65 + n / 26) || chr(65 + n % 26), 'country ' || n FROM generate_series(0, 49) n;
INSERT INTO categories (parent, name) SELECT NULL, 'root' UNION ALL SELECT 1, 'category ' || n FROM generate_series(2, 30) n;
INSERT INTO suppliers (name, country) SELECT 'supplier ' || n, 'A' || chr(65 + (n % 26)::int) FROM generate_series(1, 40) n;
INSERT INTO warehouses (name, country) SELECT 'warehouse ' || n, 'A' || chr(65 + n) FROM generate_series(1, 5) n;
INSERT INTO customers (email, name, country, status, since, ratio)
  SELECT 'Customer' || n || '@example.org', 'Name ' || md5(n::text), 'A' || chr(65 + (n % 26)::int),
         CASE WHEN n % 10 = 0 THEN 'closed' ELSE 'active' END, date '2020-01-01' + n::int % 2000, n / 7.0::float8 FROM generate_series(1, :customers::bigint) n;
INSERT INTO addresses (customer, line, country) SELECT n, 'street ' || md5('a' || n), 'AB' FROM generate_series(1, :customers::bigint) n;
INSERT INTO products (name, price, supplier, tags)
  SELECT 'product ' || n, n % 1000 + 0.99, n % 40 + 1, ARRAY['tag' || n % 7, 'tag' || n % 11] FROM generate_series(1, :products::bigint) n;
INSERT INTO product_categories SELECT n, n % 30 + 1 FROM generate_series(1, :products::bigint) n;
INSERT INTO prices SELECT n, daterange('2025-01-01', '2026-01-01'), n % 900 FROM generate_series(1, :products::bigint) n;
INSERT INTO stock SELECT w, n, (n * w) % 500 FROM generate_series(1, :products::bigint) n, generate_series(1, 5) w;
INSERT INTO stock_counts SELECT w, n, date '2026-01-01', 7 FROM generate_series(1, :products::bigint) n, generate_series(1, 2) w;
INSERT INTO coupons SELECT 'SAVE' || n, n % 50 + 1, CASE WHEN n % 2 = 0 THEN n END FROM generate_series(1, 50) n;
INSERT INTO orders (customer, state, placed, coupon, total)
  SELECT n % :customers + 1, (enum_range(NULL::order_state))[n % 5 + 1], timestamptz '2026-01-01' + n * interval '1 minute', CASE WHEN n % 9 = 0 THEN 'SAVE' || n % 50 + 1 END, n % 777
    FROM generate_series(1, :orders::bigint) n;
INSERT INTO order_lines ("order", product, pieces, price)
  SELECT n, (n * 3 + l) % :products + 1, l, n % 99 + 0.5 FROM generate_series(1, :orders::bigint) n, generate_series(1, 3) l;
INSERT INTO returns (line, reason) SELECT n * 3, 'broken ' || n FROM generate_series(1, :orders::bigint / 20) n;
INSERT INTO payments SELECT md5('p' || n)::uuid, n, n % 777, timestamptz '2026-01-02' + n * interval '1 minute', jsonb_build_object('by', 'card', 'n', n) FROM generate_series(1, :orders::bigint, 2) n;
INSERT INTO shipments ("order", warehouse, sent, gap) SELECT n, n % 5 + 1, timestamptz '2026-01-03' + n * interval '1 minute', n * interval '1 second' FROM generate_series(1, :orders::bigint, 3) n;
INSERT INTO reviews SELECT n, n, n % 5 + 1, to_tsvector('simple', 'word' || n || ' good') FROM generate_series(1, least(:products::bigint, :customers::bigint)) n;
INSERT INTO events (at, customer, payload)
  SELECT timestamptz '2026-01-01' + n * interval '1 second', n % :customers + 1,
         jsonb_build_object('kind', 'k' || n % 13, 'channel', 'c' || n % 5, 'order', n % :orders, 'trace',
                            (SELECT string_agg(encode(sha512((n || '/' || i)::bytea), 'hex'), '') FROM generate_series(1, 8) i))
    FROM generate_series(1, :events::bigint) n;
INSERT INTO event_notes SELECT n, 'note ' || n FROM generate_series(1, :events::bigint, 50) n;
INSERT INTO documents (name, content)
  SELECT 'document ' || n, (SELECT string_agg(sha512((n || '-' || i)::bytea), '') FROM generate_series(1, 320) i) FROM generate_series(1, :documents::bigint) n;
UPDATE documents SET picture = lo_from_bytea(0, substr(content, 1, 9000)) WHERE id % 2 = 0;
INSERT INTO measurements SELECT timestamptz '2025-06-01' + n * interval '1 hour', n % 20, n / 3.0 FROM generate_series(1, 12000) n;
INSERT INTO measurements VALUES ('2031-01-01', 1, 'NaN'), ('2031-01-02', 1, 'Infinity');
INSERT INTO carts (customer, filled) SELECT n, jsonb_build_array(n, NULL, '') FROM generate_series(1, 100) n;
INSERT INTO "Odd ""Name"", é" VALUES (1, E'tab\there', 12.5, B'101'), (NULL, '', NULL, NULL), (3, NULL, -1, B'000'), (4, '\N', 0, NULL);
INSERT INTO nothing DEFAULT VALUES;
INSERT INTO nothing DEFAULT VALUES;
SELECT count(nextval('invoice_numbers')) AS drawn FROM generate_series(1, 17) \gset
SELECT count(nextval('countdown')) AS drawn FROM generate_series(1, 3) \gset
COMMIT;
CREATE TRIGGER orders_logged AFTER INSERT OR UPDATE OF state ON orders FOR EACH ROW EXECUTE FUNCTION log_order();
REFRESH MATERIALIZED VIEW sales;
RESET ROLE;
-- Sets every hint now: nothing has a reason to write these pages again, so damage done to one stays.
VACUUM (ANALYZE);
CHECKPOINT;
