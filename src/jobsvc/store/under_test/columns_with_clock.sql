-- Finds the columns whose default is the time, with the statement that moves each default along.
SELECT format(
    'ALTER TABLE %s ALTER COLUMN %I SET DEFAULT clock_timestamp()',
    attrelid::regclass, attname) AS statement
FROM pg_attrdef
JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum
JOIN pg_class ON pg_class.oid = adrelid
JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = 'jobsvc' AND pg_get_expr(adbin, adrelid) = 'clock_timestamp()'
