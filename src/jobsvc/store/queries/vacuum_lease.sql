-- Removes dead rows, unless somebody else is doing so. Without the right to, nothing happens but a
-- warning.
VACUUM (SKIP_LOCKED) lease
