-- Records at a server that is behind which timeline was seen elsewhere, and tells the replicas that
-- use it. Waits for no standby: it may have none any more.
-- $1 system_identifier, $2 timeline, $3 channel, $4 message
WITH quick AS (
    SELECT pg_catalog.set_config('synchronous_commit', 'local', true)
),
recorded AS (
    INSERT INTO jobsvc.timeline (system_identifier, timeline)
    SELECT $1, $2 FROM quick
    ON CONFLICT (system_identifier) DO UPDATE SET timeline = excluded.timeline
    WHERE timeline.timeline < excluded.timeline
)
SELECT pg_catalog.pg_notify($3, $4)
