-- Notes that API keys were used just now. Once a minute is enough: rows stay few.
-- $1 ids
UPDATE jobsvc.api_key SET last_use_time = statement_timestamp()
WHERE id = ANY ($1::text[])
    AND (last_use_time IS NULL OR last_use_time < statement_timestamp() - interval '20 seconds')
