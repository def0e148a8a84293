-- Makes the function by which every statement asks for the shift.
CREATE FUNCTION jobsvc.clock_shift() RETURNS interval
STABLE LANGUAGE sql AS 'SELECT shift FROM jobsvc.clock'
