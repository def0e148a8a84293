-- Makes our schema.
CREATE SCHEMA jobsvc
