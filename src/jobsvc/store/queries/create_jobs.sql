-- Writes jobs and their queue entries. Skips a job whose request id is taken; fails as a whole if a
-- unique key is. Returns one row: when they were created, and which of them (NULL for all).
-- $1 id (words), $2 queue (short), $3 schedule_time (sparse), $4 expire_time (sparse), $5 ttl
-- (sparse), $6 priority (short), $7 max_attempts (short), $8 initial_backoff (short), $9 max_backoff
-- (short), $10 backoff_multiplier (short), $11 attempt_timeout (short), $12 retention (sparse),
-- $13 output_schema_id (sparse), $14 owner_service (short), $15 owner_user (short), $16 owner_session
-- (sparse), $17 request_id (sparse), $18 request_digest (sparse), $19 unique_key (sparse), $20 labels
-- (documents), $21 traceparent (short), $22 tracestate (short), $23 input (documents); see columns.py
WITH created AS (
    INSERT INTO job (
        id, queue, create_time, schedule_time, expire_time, priority, max_attempts,
        initial_backoff, max_backoff, backoff_multiplier, attempt_timeout, retention,
        output_schema_id, owner_service, owner_user, owner_session, request_id, request_digest,
        unique_key, labels, traceparent, tracestate, input)
    SELECT
        id::uuid, coalesce(queue, ($2::text[])[1]), statement_timestamp(), schedule_time,
        coalesce(expire_time, statement_timestamp() + ttl * interval '1 second'),
        coalesce(priority, ($6::smallint[])[1]), coalesce(max_attempts, ($7::smallint[])[1]),
        coalesce(initial_backoff, ($8::float8[])[1]), coalesce(max_backoff, ($9::float8[])[1]),
        coalesce(backoff_multiplier, ($10::float8[])[1]),
        coalesce(attempt_timeout, ($11::float8[])[1]), retention, output_schema_id,
        coalesce(owner_service, ($14::text[])[1]), coalesce(owner_user, ($15::text[])[1]),
        owner_session, request_id, request_digest, unique_key, labels::jsonb,
        coalesce(traceparent, ($21::text[])[1]), coalesce(tracestate, ($22::text[])[1]), input
    FROM unnest(
        string_to_array($1::text, ' '), $2::text[], $3::timestamptz[], $4::timestamptz[],
        $5::float8[], $6::smallint[], $7::smallint[], $8::float8[], $9::float8[], $10::float8[],
        $11::float8[], $12::float8[], $13::bigint[], $14::text[], $15::text[], $16::bytea[],
        $17::uuid[], $18::bytea[], $19::text[], string_to_array($20::text, E'\x1f', ''),
        $21::text[], $22::text[], string_to_array($23::text, E'\x1f', '')
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
    SELECT queue, unique_key, id FROM created WHERE unique_key IS NOT NULL
),
queued AS (
    INSERT INTO waiting (
        job_id, queue, rank, run_at, attempt, returns, version, update_time, expire_time, keyed)
    SELECT id, queue, -priority, greatest(schedule_time, create_time), 0, 0, 1, create_time,
        expire_time, unique_key IS NOT NULL
    FROM created
)
SELECT
    statement_timestamp() AS create_time,
    CASE WHEN count(*) < cardinality(string_to_array($1::text, ' '))
         THEN coalesce(array_agg(id::text), '{}')
    END AS created
FROM created
