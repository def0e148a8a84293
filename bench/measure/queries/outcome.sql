-- Counts of a database's jobs by where they are.
SELECT
    (SELECT count(*) FROM jobsvc.job) AS jobs,
    (SELECT count(*) FROM jobsvc.waiting) AS waiting,
    (SELECT count(*) FROM jobsvc.lease) AS leased,
    (SELECT count(*) FROM jobsvc.attempt) AS attempts,
    count(*) AS ended,
    count(*) FILTER (WHERE state = 3) AS completed,
    count(*) FILTER (WHERE attempt = 1) AS at_first
FROM jobsvc.result
