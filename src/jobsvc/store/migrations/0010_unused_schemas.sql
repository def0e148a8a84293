-- Code from 0006_emptied_jobs on runs on this.
-- Since when no queue has had a schema, as far as upkeep has seen; NULL while one has it.
ALTER TABLE payload_schema ADD COLUMN unused_since timestamptz;
