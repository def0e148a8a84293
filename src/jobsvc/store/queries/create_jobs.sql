-- Writes jobs and their queue entries. Skips a job whose request id is taken, one that would expire
-- before it may first run, and one whose queue is gone or going: a queue in which a job is being
-- created is locked against its removal. Fails as a whole if a unique key is taken. Returns one row: when
-- they were created, and which of them (NULL for all).
-- $1 id (words), $2 queue (short), $3 schedule_time (sparse), $4 expire_time (sparse), $5 ttl
-- (sparse), $6 priority (short), $7 output_schema_id (sparse), $8 owner_service (short),
-- $9 owner_user (short), $10 owner_session (sparse), $11 request_id (sparse), $12 request_digest
-- (sparse), $13 unique_key (sparse), $14 labels (documents), $15 traceparent (short),
-- $16 tracestate (short), $17 input (documents), $18 schedule_delay (sparse), and from $19 on the
-- fields of RunPolicy: max_attempts (short), $20 initial_backoff (short), $21 max_backoff (short),
-- $22 backoff_multiplier (short), $23 attempt_timeout (short), $24 retention (sparse),
-- $25 start_within (sparse), $26 services whose waiting jobs are counted; see columns.py
WITH known AS MATERIALIZED (
    SELECT name FROM jobsvc.queue
    WHERE name = ANY ($2::text[]) AND delete_time IS NULL FOR KEY SHARE
),
created AS (
    INSERT INTO jobsvc.job (
        id, queue, create_time, schedule_time, expire_time, priority, output_schema_id,
        owner_service, owner_user, owner_session, request_id, request_digest, unique_key, labels,
        traceparent, tracestate, input, max_attempts, initial_backoff, max_backoff,
        backoff_multiplier, attempt_timeout, retention, start_within)
    SELECT
        id::uuid, coalesce(queue, ($2::text[])[1]), statement_timestamp(),
        coalesce(schedule_time, statement_timestamp() + schedule_delay * interval '1 second'),
        coalesce(expire_time, statement_timestamp() + ttl * interval '1 second'),
        coalesce(priority, ($6::smallint[])[1]), output_schema_id,
        coalesce(owner_service, ($8::text[])[1]), coalesce(owner_user, ($9::text[])[1]),
        owner_session, request_id, request_digest, unique_key, labels::jsonb,
        coalesce(traceparent, ($15::text[])[1]), coalesce(tracestate, ($16::text[])[1]), input,
        coalesce(max_attempts, ($19::smallint[])[1]),
        coalesce(initial_backoff, ($20::float8[])[1]), coalesce(max_backoff, ($21::float8[])[1]),
        coalesce(backoff_multiplier, ($22::float8[])[1]),
        coalesce(attempt_timeout, ($23::float8[])[1]), retention, start_within
    FROM unnest(
        string_to_array($1::text, ' '), $2::text[], $3::timestamptz[], $4::timestamptz[],
        $5::float8[], $6::smallint[], $7::bigint[], $8::text[], $9::text[], $10::bytea[],
        $11::uuid[], $12::bytea[], $13::text[], string_to_array($14::text, E'\x1f', ''),
        $15::text[], $16::text[], string_to_array($17::text, E'\x1f', ''), $18::float8[],
        $19::smallint[], $20::float8[], $21::float8[], $22::float8[], $23::float8[], $24::float8[],
        $25::float8[]
    ) AS asked (
        id, queue, schedule_time, expire_time, ttl, priority, output_schema_id, owner_service,
        owner_user, owner_session, request_id, request_digest, unique_key, labels, traceparent,
        tracestate, input, schedule_delay, max_attempts, initial_backoff, max_backoff,
        backoff_multiplier, attempt_timeout, retention, start_within)
    WHERE (
        coalesce(expire_time, statement_timestamp() + ttl * interval '1 second')
        > greatest(statement_timestamp(), schedule_time,
            statement_timestamp() + schedule_delay * interval '1 second')
    ) IS NOT FALSE
    AND coalesce(queue, ($2::text[])[1]) = ANY (ARRAY(SELECT name FROM known))
    ON CONFLICT (owner_service, request_id) WHERE request_id IS NOT NULL DO NOTHING
    RETURNING id, queue, priority, create_time, schedule_time, expire_time, start_within, unique_key,
        owner_service
),
held AS (
    INSERT INTO jobsvc.held_key (queue, unique_key, job_id)
    SELECT queue, unique_key, id FROM created WHERE unique_key IS NOT NULL
),
queued AS (
    INSERT INTO jobsvc.waiting (
        job_id, queue, rank, run_at, attempt, redeliveries, version, update_time, expire_time,
        keyed, start_deadline, counted_service)
    SELECT id, queue, -priority, greatest(schedule_time, create_time), 0, 0, 1, create_time,
        expire_time, unique_key IS NOT NULL,
        greatest(schedule_time, create_time) + start_within * interval '1 second',
        CASE WHEN owner_service = ANY ($26::text[]) THEN owner_service END
    FROM created
)
SELECT
    statement_timestamp() AS create_time,
    CASE WHEN count(*) < cardinality(string_to_array($1::text, ' '))
         THEN coalesce(array_agg(id::text), '{}')
    END AS created
FROM created
