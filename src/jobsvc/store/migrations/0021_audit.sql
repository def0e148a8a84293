-- Code from 0006_emptied_jobs on runs on this.
-- Who changed what: an entry for each call that an operator may ask about later.
CREATE TABLE audit_entry (
    id       uuid PRIMARY KEY,
    time     timestamptz NOT NULL,
    identity text NOT NULL,      -- the service of the caller, empty without authentication
    user_id  text NOT NULL,      -- as the caller names it
    peer     text NOT NULL,      -- the address of the caller, without its port
    method   text NOT NULL,
    target   text NOT NULL,      -- a job, queue, worker or bulk operation
    outcome  text NOT NULL,      -- OK, or the reason of the refusal
    trace_id text NOT NULL,
    calls    integer NOT NULL    -- more than 1 for refusals that came too many at once
);
CREATE INDEX audit_entry_time ON audit_entry (time, id);
-- The session of a bulk operation's owner, hashed with keys of before: jobs that have those hashes
-- are the owner's, too.
ALTER TABLE bulk_operation ADD COLUMN former_sessions bytea[];
