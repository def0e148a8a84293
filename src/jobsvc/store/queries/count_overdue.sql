-- Counts what some server should have done by now: leases that have run out, waiting jobs that have
-- expired or not begun in time, and jobs whose retention is over.
-- $1 seconds after which the first two are overdue, $2 the last one, $3 most to count of each
SELECT
    (SELECT count(*) FROM (
        SELECT FROM jobsvc.lease
        WHERE least(until, deadline) < statement_timestamp() - $1::float8 * interval '1 second'
        LIMIT $3::bigint) AS few) AS leases,
    least($3::bigint, (SELECT count(*) FROM (
        SELECT FROM jobsvc.waiting
        WHERE expire_time < statement_timestamp() - $1 * interval '1 second'
        LIMIT $3) AS few)
    + (SELECT count(*) FROM (
        SELECT FROM jobsvc.waiting
        WHERE start_deadline < statement_timestamp() - $1 * interval '1 second'
        LIMIT $3) AS few)) AS expiries,
    (SELECT count(*) FROM (
        SELECT FROM jobsvc.result
        WHERE purge_time < statement_timestamp() - $2::float8 * interval '1 second'
        LIMIT $3) AS few) AS purges
