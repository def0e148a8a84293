-- Which settings of the session are not as wanted. $1 names, $2 values in the units of pg_settings.
SELECT name
FROM pg_settings
JOIN unnest($1::text[], $2::text[]) AS wanted (name, value) USING (name)
WHERE setting <> value
ORDER BY name
