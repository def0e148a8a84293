-- Dead rows that churn leaves behind, and megabytes of the tables and indexes that it goes through.
SELECT
    pg_stat_get_dead_tuples('waiting'::regclass) AS "dead in waiting",
    pg_stat_get_dead_tuples('lease'::regclass) AS "dead in lease",
    pg_relation_size('waiting') / 1e6::float8 AS "waiting MB",
    pg_relation_size('waiting_order') / 1e6::float8 AS "waiting_order MB",
    pg_relation_size('lease') / 1e6::float8 AS "lease MB",
    pg_relation_size('lease_pkey') / 1e6::float8 AS "lease_pkey MB",
    pg_stat_get_vacuum_count('waiting'::regclass)
        + pg_stat_get_autovacuum_count('waiting'::regclass) AS "vacuums of waiting",
    pg_stat_get_vacuum_count('lease'::regclass)
        + pg_stat_get_autovacuum_count('lease'::regclass) AS "vacuums of lease"
