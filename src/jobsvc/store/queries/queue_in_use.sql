-- Says whether a queue has jobs that have not ended.
-- $1 name
SELECT EXISTS (SELECT FROM jobsvc.waiting WHERE queue = $1)
    OR EXISTS (SELECT FROM jobsvc.lease WHERE queue = $1) AS in_use
