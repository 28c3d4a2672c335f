-- The keys of the backup were copied in before; where the database still has a key of that name, its own words count.
INSERT INTO xtask_quarantine.foreign_keys SELECT name, child, parent, child_from, parent_from, present, same, valid, definition, said FROM (:keys) AS live
ON CONFLICT (child, name) DO UPDATE SET (parent, child_from, parent_from, present, same, valid, definition, said)
 = (excluded.parent, excluded.child_from, excluded.parent_from, excluded.present, excluded.same, excluded.valid, excluded.definition, excluded.said);
