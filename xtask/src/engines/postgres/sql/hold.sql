-- One try to begin the snapshot's transaction with every table held as it is: reading and writing go on, rewriting and
-- truncating wait. The locks come before the snapshot, which only the first query takes; waiting for them may take as long as
-- a migration does, so the snapshot must show the tables that were locked, no more and no fewer. Sequences are read in it:
-- before the dump may read them, and exactly those that it will find. Leaves the psql variable `held`.
\if :held
\else
{lockable}\gset
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
\set ON_ERROR_STOP off
:hold;
\set state :SQLSTATE
\set lost :ERROR
\set before :listed
\if :lost
\else
{lockable}\gset
{counters}\set state :SQLSTATE
\set lost :ERROR
\endif
\if :lost
ROLLBACK;
\set ON_ERROR_STOP on
-- What is gone, or a deadlock, is worth another try; anything else has said what it is.
SELECT :'state' IN ('42P01', '3F000', '40P01') AS again \gset
\if :again
\else
DO $$ BEGIN RAISE EXCEPTION 'xtask: tables could not be held'; END $$;
\endif
\else
\set ON_ERROR_STOP on
SELECT :'before' = :'listed' AS held \gset
\if :held
\else
ROLLBACK;
\endif
\endif
\endif
