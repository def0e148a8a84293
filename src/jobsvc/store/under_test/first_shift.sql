-- Writes the first shift: none.
INSERT INTO jobsvc.clock VALUES (interval '0')
