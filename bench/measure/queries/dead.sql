-- Dead rows that churn leaves behind, and megabytes of the tables and indexes that it goes through.
SELECT
    pg_stat_get_dead_tuples('jobsvc.waiting'::regclass) AS "dead in waiting",
    pg_stat_get_dead_tuples('jobsvc.lease'::regclass) AS "dead in lease",
    pg_relation_size('jobsvc.waiting') / 1e6::float8 AS "waiting MB",
    pg_relation_size('jobsvc.waiting_order') / 1e6::float8 AS "waiting_order MB",
    pg_relation_size('jobsvc.lease') / 1e6::float8 AS "lease MB",
    pg_relation_size('jobsvc.lease_pkey') / 1e6::float8 AS "lease_pkey MB",
    pg_stat_get_vacuum_count('jobsvc.waiting'::regclass)
        + pg_stat_get_autovacuum_count('jobsvc.waiting'::regclass) AS "vacuums of waiting",
    pg_stat_get_vacuum_count('jobsvc.lease'::regclass)
        + pg_stat_get_autovacuum_count('jobsvc.lease'::regclass) AS "vacuums of lease"
