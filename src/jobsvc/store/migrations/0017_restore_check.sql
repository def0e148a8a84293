-- Code from 0006_emptied_jobs on runs on this.
-- Which start of which server `jobsvc restore-check` has looked at, and when. Tables that came by a
-- dump have other oids, and a server that was restored or promoted has another start.
CREATE TABLE restore_check (
    table_oid         bigint PRIMARY KEY,  -- of `lease`
    server_start_time timestamptz NOT NULL,
    check_time        timestamptz NOT NULL
);
