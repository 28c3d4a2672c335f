-- After the last try.
\if :held
\else
DO $$ BEGIN RAISE EXCEPTION 'xtask: tables and sequences were made or dropped faster than they could be held'; END $$;
\endif
