-- In the fresh database, before anything of the archive runs: what only a superuser may do and a dump's owner often did. Variables:
-- role, the archive's stand-in; wanted, its extensions as JSON: name to schema or null.
-- Before version 15 the schema public belongs to the superuser, and a dump may comment on it or give it away.
SELECT 'ALTER SCHEMA public OWNER TO xtask_adopting' WHERE current_setting('server_version_num')::integer < 150000 \gexec
-- Extensions that are not trusted, while the role is a superuser for a moment, so that they are its own. Where the archive makes the schema
-- itself, it has to make the extension too.
ALTER ROLE :"role" SUPERUSER;
SET SESSION AUTHORIZATION :"role";
SELECT 'DROP EXTENSION plpgsql' WHERE :'wanted'::jsonb ? 'plpgsql' \gexec
SELECT format('CREATE EXTENSION %I%s', name, ' SCHEMA ' || quote_ident(schema))
  FROM (SELECT DISTINCT ON (w.key) w.key AS name, w.value AS schema, to_jsonb(v) AS version
          FROM jsonb_each_text(:'wanted'::jsonb) AS w
          JOIN pg_available_extension_versions v ON v.name = w.key
          JOIN pg_available_extensions a ON a.name = w.key AND a.default_version = v.version) AS found
 WHERE ((version ->> 'superuser')::boolean AND NOT coalesce((version ->> 'trusted')::boolean, false) OR name = 'plpgsql')
   AND coalesce(schema, 'public') IN ('public', 'pg_catalog')
 ORDER BY name \gexec
RESET SESSION AUTHORIZATION;
ALTER ROLE :"role" NOSUPERUSER;
