-- Whether upkeep has something to do: a job that has expired or not started in time, or one whose
-- retention is over.
SELECT
    EXISTS (SELECT FROM jobsvc.waiting WHERE expire_time <= statement_timestamp())
    OR EXISTS (SELECT FROM jobsvc.waiting WHERE start_deadline <= statement_timestamp())
    OR EXISTS (SELECT FROM jobsvc.result WHERE purge_time <= statement_timestamp()) AS overdue
