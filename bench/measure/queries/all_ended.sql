-- Whether no job waits or is leased.
SELECT NOT EXISTS (SELECT FROM jobsvc.lease) AND NOT EXISTS (SELECT FROM jobsvc.waiting)
