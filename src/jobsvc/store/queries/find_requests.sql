-- The jobs that earlier calls made under these request ids.
-- $1 owner_service, $2 request_id
SELECT job.owner_service, job.request_id, job.id
FROM unnest($1::text[], $2::uuid[]) AS asked (owner_service, request_id)
JOIN job ON job.owner_service = asked.owner_service AND job.request_id = asked.request_id
