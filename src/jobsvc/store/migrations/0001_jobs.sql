-- A job's state is the table that it is in. `job` has the request and is written
-- once; a job that has not ended is in exactly one of `waiting` and `lease`; a job
-- that has ended is in `result`. Every transition is one statement, which deletes in
-- one table and inserts in another. Durations are seconds; times are the database's clock.

-- Queues and their defaults for jobs; NULL means the default of the server.
CREATE TABLE queue (
    name               text PRIMARY KEY,
    paused             boolean NOT NULL DEFAULT false,
    input_schema_id    bigint,
    output_schema_id   bigint,
    max_attempts       smallint,
    initial_backoff    float8,
    max_backoff        float8,
    backoff_multiplier float8,
    attempt_timeout    float8,
    lease_duration     float8,
    retention          float8,
    create_time        timestamptz NOT NULL DEFAULT clock_timestamp(),
    update_time        timestamptz NOT NULL DEFAULT clock_timestamp(),
    revision           bigint NOT NULL DEFAULT 1
);

-- JSON Schemas, never changed: a job keeps the schema it was created under.
CREATE TABLE payload_schema (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    digest     bytea NOT NULL UNIQUE,
    definition text NOT NULL
);

CREATE TABLE job (
    id                 uuid PRIMARY KEY,
    queue              text NOT NULL,
    create_time        timestamptz NOT NULL,
    schedule_time      timestamptz,
    expire_time        timestamptz,
    priority           smallint NOT NULL CHECK (priority BETWEEN -100 AND 100),
    max_attempts       smallint NOT NULL CHECK (max_attempts BETWEEN 1 AND 100),
    initial_backoff    float8 NOT NULL,
    max_backoff        float8 NOT NULL,
    backoff_multiplier float8 NOT NULL,
    attempt_timeout    float8 NOT NULL,
    retention          float8,
    output_schema_id   bigint,
    owner_service      text NOT NULL,
    owner_user         text NOT NULL,
    owner_session      bytea,
    request_id         uuid,
    request_digest     bytea,
    unique_key         text,
    labels             jsonb,
    traceparent        text NOT NULL,
    tracestate         text NOT NULL,
    input              text
);
-- The same request id never makes a second job.
CREATE UNIQUE INDEX job_request ON job (owner_service, request_id) WHERE request_id IS NOT NULL;

-- PENDING.
CREATE TABLE waiting (
    job_id         uuid PRIMARY KEY,
    queue          text NOT NULL,
    rank           smallint NOT NULL,      -- minus the priority
    run_at         timestamptz NOT NULL,
    attempt        smallint NOT NULL,      -- attempts used so far
    returns        smallint NOT NULL,      -- deliveries that did not arrive
    version        bigint NOT NULL,
    update_time    timestamptz NOT NULL,
    expire_time    timestamptz,
    keyed          boolean NOT NULL,       -- holds a unique key
    released_lease bigint                  -- the lease that was handed back undone
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
        autovacuum_vacuum_cost_delay = 0);
-- The order in which jobs leave their queue.
CREATE INDEX waiting_order ON waiting (queue, rank, run_at, job_id);
CREATE INDEX waiting_expiry ON waiting (expire_time) WHERE expire_time IS NOT NULL;

-- PROCESSING.
CREATE TABLE lease (
    job_id              uuid PRIMARY KEY,
    lease_id            bigint NOT NULL,   -- from lease_id: never repeats
    queue               text NOT NULL,
    rank                smallint NOT NULL,
    attempt             smallint NOT NULL, -- this one included
    returns             smallint NOT NULL,
    version             bigint NOT NULL,
    update_time         timestamptz NOT NULL,
    expire_time         timestamptz,
    keyed               boolean NOT NULL,
    released_lease      bigint,            -- as in waiting
    worker_id           text NOT NULL,
    start_time          timestamptz NOT NULL,
    duration            float8 NOT NULL,   -- length of the lease and of an extension
    until               timestamptz NOT NULL,
    deadline            timestamptz NOT NULL, -- end of the attempt's time, or of the job's
    confirmed           boolean NOT NULL DEFAULT false, -- extended at least once
    progress_percent    smallint,
    progress_message    text NOT NULL DEFAULT '',
    cancel_request_time timestamptz,
    cancel_reason       text NOT NULL DEFAULT ''
-- Extensions update in place: no index on the columns they change, and free space on the page.
) WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
        autovacuum_vacuum_cost_delay = 0);
CREATE SEQUENCE lease_id AS bigint CACHE 1;

-- The terms of a lease: everything that the decision about its end needs.
CREATE VIEW lease_terms AS
SELECT
    lease.job_id, lease.lease_id, lease.queue, lease.worker_id, lease.attempt, lease.returns,
    lease.until, lease.deadline, lease.expire_time,
    lease.cancel_request_time IS NOT NULL AS cancel_requested,
    job.max_attempts, job.initial_backoff, job.max_backoff, job.backoff_multiplier,
    job.retention, job.request_id IS NOT NULL AS has_request, job.output_schema_id,
    job.traceparent, job.tracestate
FROM lease JOIN job ON job.id = lease.job_id;

-- COMPLETED, FAILED, CANCELLED.
CREATE TABLE result (
    job_id              uuid PRIMARY KEY,
    state               smallint NOT NULL CHECK (state IN (3, 4, 5)),
    attempt             smallint NOT NULL,
    version             bigint NOT NULL,
    worker_id           text NOT NULL,
    lease_id            bigint,            -- NULL when it ended while waiting
    start_time          timestamptz,
    end_time            timestamptz NOT NULL,
    purge_time          timestamptz NOT NULL,
    progress_percent    smallint,
    progress_message    text NOT NULL,
    cancel_request_time timestamptz,
    error               text,              -- JSON
    output              text               -- JSON; NULL for the empty object
);
CREATE INDEX result_purge ON result (purge_time);

-- Attempts that were used up before the last one.
CREATE TABLE attempt (
    job_id     uuid NOT NULL,
    attempt    smallint NOT NULL,
    lease_id   bigint NOT NULL,
    worker_id  text NOT NULL,
    start_time timestamptz NOT NULL,
    end_time   timestamptz NOT NULL,
    error      text NOT NULL,              -- JSON
    PRIMARY KEY (job_id, attempt)
);

-- Unique keys of jobs that have not ended.
CREATE TABLE held_key (
    queue      text NOT NULL,
    unique_key text NOT NULL,
    job_id     uuid NOT NULL UNIQUE,
    PRIMARY KEY (queue, unique_key)
);

-- Connected workers, as each replica last saw them. Lost in a crash, and written again soon.
CREATE UNLOGGED TABLE worker (
    worker_id    text NOT NULL,
    server_id    text NOT NULL,
    queues       text[] NOT NULL,
    max_window   integer NOT NULL,
    lease_count  integer NOT NULL,
    version      text NOT NULL,
    sdk          text NOT NULL,
    labels       text NOT NULL,            -- JSON
    connect_time timestamptz NOT NULL,
    last_seen    timestamptz NOT NULL,
    PRIMARY KEY (worker_id, server_id)
);

-- The key that session ids are hashed with when the settings give none.
CREATE TABLE secret (
    name  text PRIMARY KEY,
    value bytea NOT NULL
);
INSERT INTO secret VALUES
    ('session_key', sha256(convert_to(gen_random_uuid()::text || gen_random_uuid()::text, 'UTF8')));
