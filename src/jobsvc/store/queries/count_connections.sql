-- Counts connections to the server, of all roles and databases.
SELECT sum(numbackends)::integer AS count FROM pg_stat_database
