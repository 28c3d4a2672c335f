-- Prints what is worth knowing of the source, a line key=value each.
SELECT 'server_version_num=' || current_setting('server_version_num');
SELECT 'server_version=' || split_part(current_setting('server_version'), ' ', 1);
SELECT 'system_identifier=' || system_identifier FROM pg_control_system();
SELECT 'database=' || current_database();
SELECT 'encoding=' || pg_encoding_to_char(encoding) FROM pg_database WHERE datname = current_database();
SELECT 'collate=' || datcollate FROM pg_database WHERE datname = current_database();
SELECT 'ctype=' || datctype FROM pg_database WHERE datname = current_database();
SELECT 'locale_provider=' || coalesce(to_jsonb(d) ->> 'datlocprovider', 'c') FROM pg_database d WHERE datname = current_database();
SELECT 'locale=' || coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale') FROM pg_database d
 WHERE coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale') IS NOT NULL AND datname = current_database();
SELECT 'icu_rules=' || to_json(to_jsonb(d) ->> 'daticurules') FROM pg_database d WHERE to_jsonb(d) ->> 'daticurules' IS NOT NULL AND datname = current_database();
SELECT 'public_schema=' || CASE WHEN to_regnamespace('public') IS NULL THEN 'absent' ELSE 'present' END;
SELECT 'extensions=' || coalesce(string_agg(extname || ' ' || extversion, ', ' ORDER BY extname), '') FROM pg_extension;
SELECT 'role_passwords=' || CASE WHEN has_table_privilege('pg_catalog.pg_authid', 'select') THEN 'present' ELSE 'absent' END;
SELECT 'asked_as=' || current_user;
SELECT 'data_checksums=' || current_setting('data_checksums');
SELECT 'lsn=' || CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END;
SELECT 'bytes=' || pg_database_size(current_database());
SELECT 'asked_at=' || to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');
\echo client_version=:VERSION_NAME
