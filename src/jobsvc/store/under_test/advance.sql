-- Moves the clock, and with it what living processes would have renewed meanwhile: leases, up to
-- the deadline of their attempt, and the presence of workers. Returns the whole shift.
-- $1 seconds
WITH step AS (SELECT $1::float8 * interval '1 second' AS size),
moved AS (UPDATE jobsvc.clock SET shift = shift + step.size FROM step RETURNING shift),
held AS (
    UPDATE jobsvc.lease SET until = greatest(until, least(until + step.size, deadline)) FROM step
),
seen AS (UPDATE jobsvc.worker SET last_seen = last_seen + step.size FROM step),
kept AS (UPDATE jobsvc.worker_stream SET last_seen = last_seen + step.size FROM step)
SELECT shift FROM moved
