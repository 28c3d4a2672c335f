-- Reads the file that the psql variable `script` names, line by line, into pg_temp.script. Every byte comes as it is.
CREATE TEMP TABLE script (number bigint, line text);
BEGIN;
\lo_import :script
\set object :LASTOID
INSERT INTO pg_temp.script SELECT number, line FROM unnest(string_to_array(convert_from(lo_get(:object), 'UTF8'), E'\n')) WITH ORDINALITY AS file (line, number);
SELECT lo_unlink(:object) AS unlinked \gset
COMMIT;
