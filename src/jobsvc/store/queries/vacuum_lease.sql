-- Removes dead rows, unless another session is doing so.
VACUUM (SKIP_LOCKED) jobsvc.lease
