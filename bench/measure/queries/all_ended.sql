-- Whether no job waits or is leased.
SELECT NOT EXISTS (SELECT FROM lease) AND NOT EXISTS (SELECT FROM waiting)
