-- Code from 0006_emptied_jobs on runs on this.
-- The session of a bulk operation's owner, hashed with keys of before: jobs that have those hashes
-- are the owner's, too.
ALTER TABLE bulk_operation ADD COLUMN former_sessions bytea[];
