-- Removes dead rows, unless somebody else is doing so.
VACUUM (SKIP_LOCKED) lease
