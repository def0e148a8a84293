-- Where the data are, if that is on this machine, as over a Unix socket, and the role may know it.
SELECT CASE
    WHEN inet_server_addr() IS NULL AND pg_has_role('pg_read_all_settings', 'USAGE')
    THEN current_setting('data_directory') END AS folder
