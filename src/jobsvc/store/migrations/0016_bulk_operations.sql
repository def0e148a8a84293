-- Code from 0006_emptied_jobs on runs on this.
-- Something that is done with all jobs of a filter, batch by batch. Whoever works on it has its row
-- locked, and what a batch did is written in the transaction that did it.
CREATE TABLE bulk_operation (
    id             uuid PRIMARY KEY,
    owner_service  text NOT NULL,
    owner_user     text NOT NULL,
    owner_session  bytea,
    request_id     uuid,
    request_digest bytea,
    wanted         text NOT NULL,           -- JSON: the filter
    action         text NOT NULL,           -- JSON
    rate           float8 NOT NULL,         -- jobs a second, 0 for no limit
    most           bigint NOT NULL,         -- jobs in all, 0 for no limit
    state          smallint NOT NULL CHECK (state IN (1, 2, 3)),
    version        bigint NOT NULL,
    position       uuid,                    -- it goes on behind this job, towards older ones
    done           bigint NOT NULL,
    skipped        text NOT NULL,           -- JSON: jobs by reason
    last_error     text,                    -- JSON
    create_time    timestamptz NOT NULL,
    update_time    timestamptz NOT NULL,
    next_time      timestamptz NOT NULL,    -- of its next batch
    end_time       timestamptz CHECK ((end_time IS NULL) = (state = 1)),
    purge_time     timestamptz
);
CREATE UNIQUE INDEX bulk_operation_request ON bulk_operation (owner_service, request_id)
    WHERE request_id IS NOT NULL;
CREATE INDEX bulk_operation_running ON bulk_operation (next_time) WHERE end_time IS NULL;
CREATE INDEX bulk_operation_purge ON bulk_operation (purge_time) WHERE purge_time IS NOT NULL;
