-- Reads the database's clock, which no step of the server's clock and no freeze of the server
-- touches.
SELECT clock_timestamp() AS now
