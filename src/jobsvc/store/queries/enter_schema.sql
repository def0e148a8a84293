-- Until the end of the transaction, makes a schema the place of tables that are named without one,
-- and lets statements run for as long as they take.
-- $1 schema
SELECT
    set_config('search_path', quote_ident($1) || ', pg_temp', true),
    set_config('statement_timeout', '0', true)
