-- Makes the table that has the shift of the clock.
CREATE TABLE jobsvc.clock (shift interval NOT NULL)
