-- The job that was created last.
SELECT id FROM jobsvc.job ORDER BY id DESC LIMIT 1
