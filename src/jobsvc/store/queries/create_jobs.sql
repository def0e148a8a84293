-- Writes jobs and their places in the queue. Skips a job whose request id is taken; fails whole
-- when a unique key is.
-- $1 id, $2 queue, $3 schedule_time, $4 expire_time, $5 ttl, $6 priority, $7 max_attempts,
-- $8 initial_backoff, $9 max_backoff, $10 backoff_multiplier, $11 attempt_timeout, $12 retention,
-- $13 output_schema_id, $14 owner_service, $15 owner_user, $16 owner_session, $17 request_id,
-- $18 request_digest, $19 unique_key, $20 labels, $21 traceparent, $22 tracestate, $23 input
WITH made AS (
    INSERT INTO job (
        id, queue, create_time, schedule_time, expire_time, priority, max_attempts,
        initial_backoff, max_backoff, backoff_multiplier, attempt_timeout, retention,
        output_schema_id, owner_service, owner_user, owner_session, request_id, request_digest,
        unique_key, labels, traceparent, tracestate, input)
    SELECT
        id, queue, clock_timestamp(), schedule_time,
        coalesce(expire_time, clock_timestamp() + ttl * interval '1 second'),
        priority, max_attempts, initial_backoff, max_backoff, backoff_multiplier, attempt_timeout,
        retention, output_schema_id, owner_service, owner_user, owner_session, request_id,
        request_digest, unique_key, labels::jsonb, traceparent, tracestate, input
    FROM unnest(
        $1::uuid[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::float8[],
        $6::smallint[], $7::smallint[], $8::float8[], $9::float8[], $10::float8[], $11::float8[],
        $12::float8[], $13::bigint[], $14::text[], $15::text[], $16::bytea[], $17::uuid[],
        $18::bytea[], $19::text[], $20::text[], $21::text[], $22::text[], $23::text[]
    ) AS asked (
        id, queue, schedule_time, expire_time, ttl, priority, max_attempts, initial_backoff,
        max_backoff, backoff_multiplier, attempt_timeout, retention, output_schema_id,
        owner_service, owner_user, owner_session, request_id, request_digest, unique_key, labels,
        traceparent, tracestate, input)
    ON CONFLICT (owner_service, request_id) WHERE request_id IS NOT NULL DO NOTHING
    RETURNING id, queue, priority, create_time, schedule_time, expire_time, unique_key
),
held AS (
    INSERT INTO held_key (queue, unique_key, job_id)
    SELECT queue, unique_key, id FROM made WHERE unique_key IS NOT NULL
),
placed AS (
    INSERT INTO waiting (
        job_id, queue, rank, run_at, attempt, returns, version, update_time, expire_time, keyed)
    SELECT id, queue, -priority, greatest(schedule_time, create_time), 0, 0, 1, create_time,
        expire_time, unique_key IS NOT NULL
    FROM made
)
SELECT id, create_time, expire_time, greatest(schedule_time, create_time) AS run_at FROM made
