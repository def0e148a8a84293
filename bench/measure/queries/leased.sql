-- How many leases there have been.
SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM lease_id
