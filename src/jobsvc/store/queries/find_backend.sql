-- The process that answers, and whether it may be one of this machine, as it is over a Unix socket.
SELECT pg_backend_pid() AS pid, inet_server_addr() IS NULL AS is_local
