-- Leases the next ready jobs of a queue, at most one for each slot, in the order of the queue: job
-- n goes to the worker of slot n. The search may begin at a position that no ready job is known to
-- precede: deleted rows stay in the index until a vacuum, and to skip them takes time.
-- $1 queue, $2 number of slots, $3 worker_id, $4 the worker of each slot, an index from 1 into $3
-- (short), $5 lease duration of each slot (short), $6 and $7 rank and run_at to begin at (NULL for
-- the first job), $8 random bytes, eight for the number of each lease; see columns.py
WITH RECURSIVE ranks AS (
    SELECT coalesce((
        SELECT rank FROM jobsvc.waiting WHERE queue = $1 AND rank < coalesce($6::smallint, 32767)
        ORDER BY rank LIMIT 1), $6::smallint) AS rank
    UNION ALL
    SELECT (
        SELECT rank FROM jobsvc.waiting WHERE queue = $1 AND waiting.rank > ranks.rank
        ORDER BY rank LIMIT 1)
    FROM ranks WHERE ranks.rank IS NOT NULL
),
-- Rank by rank, so that jobs of one rank that are not due do not hide those of the next. Numbered
-- in the order of the queue. A locked row is not moved, so the delete finds it by its ctid.
next AS MATERIALIZED (
    SELECT ready.row_id, row_number() OVER () AS slot
    FROM ranks
    CROSS JOIN LATERAL (
        SELECT waiting.ctid AS row_id
        FROM jobsvc.waiting
        WHERE waiting.queue = $1 AND waiting.rank = ranks.rank
            AND run_at <= statement_timestamp()
            AND run_at >=
                CASE WHEN ranks.rank = $6::smallint THEN $7::timestamptz ELSE '-infinity' END
            AND (expire_time IS NULL OR expire_time > statement_timestamp())
            AND (start_deadline IS NULL OR start_deadline > statement_timestamp())
        ORDER BY run_at, waiting.job_id
        LIMIT $2::integer
        FOR UPDATE SKIP LOCKED
    ) AS ready
    WHERE (
        SELECT NOT paused OR pause_end_time <= statement_timestamp()
        FROM jobsvc.queue WHERE name = $1)
    LIMIT $2::integer
),
gone AS (
    DELETE FROM jobsvc.waiting USING next WHERE waiting.ctid = next.row_id
    RETURNING waiting.*, next.slot
),
dealt AS MATERIALIZED (
    SELECT
        gone.job_id,
        ('x' || encode(substr($8::bytea, 8 * gone.slot::integer - 7, 8), 'hex'))::bit(64)::bigint
            AS lease_id,
        gone.queue, gone.rank, gone.run_at,
        (gone.attempt + 1)::smallint AS attempt, gone.redeliveries, gone.version + 1 AS version,
        gone.expire_time, gone.start_deadline, gone.keyed, gone.released_lease,
        gone.counted_service,
        clock_timestamp() AS start_time, gone.slot,
        coalesce(($5::float8[])[gone.slot], ($5::float8[])[1]) AS duration,
        job.create_time, job.max_attempts, job.initial_backoff, job.max_backoff,
        job.backoff_multiplier, job.attempt_timeout, job.retention,
        job.output_schema_id, job.owner_service, job.owner_user,
        job.owner_session IS NOT NULL AS has_session,
        job.labels::text AS labels, job.traceparent, job.tracestate, job.input,
        CASE WHEN gone.attempt > 0 THEN (
            SELECT attempt.error FROM jobsvc.attempt
            WHERE attempt.job_id = gone.job_id AND attempt.attempt = gone.attempt
        ) END AS previous_error
    FROM gone
    CROSS JOIN LATERAL (SELECT * FROM jobsvc.job WHERE id = gone.job_id OFFSET 0) AS job
),
taken AS (
    INSERT INTO jobsvc.lease (
        job_id, lease_id, queue, rank, run_at, attempt, redeliveries, version, update_time,
        expire_time, start_deadline, keyed, released_lease, counted_service, worker_id, start_time,
        duration, until, deadline)
    SELECT
        job_id, lease_id, queue, rank, run_at, attempt, redeliveries, version, start_time,
        expire_time, start_deadline, keyed, released_lease, counted_service,
        ($3::text[])[coalesce(($4::integer[])[slot], ($4::integer[])[1])], start_time,
        duration, start_time + duration * interval '1 second',
        least(start_time + attempt_timeout * interval '1 second', expire_time)
    FROM dealt
)
-- One row for jobs that have the same attributes, with the lease (words), the input (documents),
-- the creation time (seconds since 1970), how long it was ready (seconds) and the slot of each, all in
-- one order. A large input gets
-- its own row: to join and split large inputs costs more than rows do. Every row has the queue
-- position of the job of the last slot.
SELECT
    string_agg(job_id::text || '.' || lease_id::text, ' ') AS lease_ids,
    string_agg(coalesce(input, ''), E'\x1f') AS inputs,
    array_agg(date_part('epoch', create_time)) AS create_times,
    array_agg(date_part('epoch', start_time - run_at)) AS waits,
    array_agg(slot) AS slots,
    (SELECT ROW(rank, run_at) FROM dealt ORDER BY slot DESC LIMIT 1) AS last,
    $1 AS queue, attempt, max_attempts, initial_backoff, max_backoff, backoff_multiplier, retention,
    output_schema_id, owner_service, owner_user, has_session, labels, traceparent, tracestate,
    previous_error,
    CASE WHEN expire_time IS NULL THEN attempt_timeout
         ELSE least(attempt_timeout, extract(epoch FROM expire_time - max(start_time))::float8)
    END AS remaining
FROM dealt
GROUP BY
    attempt, max_attempts, initial_backoff, max_backoff, backoff_multiplier, attempt_timeout,
    expire_time, retention, output_schema_id, owner_service, owner_user, has_session, labels,
    traceparent, tracestate, previous_error,
    CASE WHEN octet_length(input) > 8192 THEN slot END
