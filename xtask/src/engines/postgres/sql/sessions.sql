-- Prints whoever would stand in the way of a rename of the database that the variable `name` names, and what cannot be ended.
SELECT 'session=' || regexp_replace(format('%s as %s from %s, %s since %s', coalesce(nullif(application_name, ''), backend_type), usename, coalesce(host(client_addr), 'inside'),
                                           coalesce(state, 'at work'), to_char(backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')), '[[:cntrl:]]', '?', 'g')
  FROM pg_stat_activity
 WHERE datname = :'name' AND application_name NOT LIKE 'xtask-%' AND backend_type NOT IN ('autovacuum worker', 'parallel worker')
 ORDER BY backend_start;
SELECT 'prepared=' || regexp_replace(gid, '[[:cntrl:]]', '?', 'g') FROM pg_prepared_xacts WHERE database = :'name' ORDER BY 1;
SELECT 'role=' || quote_ident(current_user);
SELECT 'superuser=' || rolsuper FROM pg_roles WHERE rolname = current_user;
SELECT 'standby=' || pg_is_in_recovery();
