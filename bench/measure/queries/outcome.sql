-- Counts of a database's jobs by where they are.
SELECT
    (SELECT count(*) FROM job) AS jobs,
    (SELECT count(*) FROM waiting) AS waiting,
    (SELECT count(*) FROM lease) AS leased,
    (SELECT count(*) FROM attempt) AS attempts,
    count(*) AS ended,
    count(*) FILTER (WHERE state = 3) AS completed,
    count(*) FILTER (WHERE attempt = 1) AS at_first
FROM result
