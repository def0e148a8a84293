-- Removes dead rows, unless another session is doing so. Without the privilege, PostgreSQL only
-- warns.
VACUUM (SKIP_LOCKED) jobsvc.waiting
