-- Finds the jobs that earlier calls created under these request ids.
-- $1 owner_service, $2 request_id
SELECT asked.owner_service, asked.request_id, found.id
FROM unnest($1::text[], $2::uuid[]) AS asked (owner_service, request_id)
CROSS JOIN LATERAL (
    SELECT id FROM jobsvc.job
    WHERE owner_service = asked.owner_service AND request_id = asked.request_id OFFSET 0
) AS found
