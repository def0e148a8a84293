-- Code from 0006_emptied_jobs on runs on this.
-- By system identifier, the highest timeline that replicas have seen elsewhere when they found this
-- server behind: an old primary that still takes writes.
CREATE TABLE timeline (
    system_identifier bigint PRIMARY KEY,
    timeline bigint NOT NULL
);
