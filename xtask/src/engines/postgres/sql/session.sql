-- Makes every session print the same text for the same value, and lets nothing but the caller's own bound end it. Only a
-- lock is not waited for that long: whoever holds one for hours is to be named, not waited out.
SELECT count(set_config(name, '0', false)) AS unbounded FROM pg_settings WHERE name IN ('statement_timeout', 'idle_in_transaction_session_timeout', 'idle_session_timeout', 'transaction_timeout') \gset
SET lock_timeout = '60s';
SET client_min_messages = warning;
SET search_path = '';
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
SET IntervalStyle = 'postgres';
SET extra_float_digits = 3;
SET bytea_output = 'hex';
SET xmloption = 'content';
SET quote_all_identifiers = off;
SET row_security = off;
SET standard_conforming_strings = on;
SET jit = off;
-- A query whose asker has died ends within a second, where the server can look for that (14 and newer).
SELECT count(set_config(name, '1s', false)) AS attentive FROM pg_settings WHERE name = 'client_connection_check_interval' \gset
