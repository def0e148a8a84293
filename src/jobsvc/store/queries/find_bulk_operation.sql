-- Finds the bulk operation of a request id.
-- $1 service, $2 request_id
SELECT * FROM jobsvc.bulk_operation WHERE owner_service = $1 AND request_id = $2
