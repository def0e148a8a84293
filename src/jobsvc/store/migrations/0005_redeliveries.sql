-- The count of redeliveries has their name. Code from before this does not run on this schema, and
-- need not: nothing is released.
ALTER TABLE waiting RENAME COLUMN returns TO redeliveries;
ALTER TABLE lease RENAME COLUMN returns TO redeliveries;
ALTER VIEW lease_terms RENAME COLUMN returns TO redeliveries;
-- Lease ids are random now.
DROP SEQUENCE lease_id;
