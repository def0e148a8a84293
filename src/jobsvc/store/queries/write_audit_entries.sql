-- Writes entries of the audit, each once however often it is tried.
-- $1 id, $2 seconds since the call, $3 identity, $4 user, $5 peer, $6 method, $7 target,
-- $8 outcome, $9 trace id, $10 calls
INSERT INTO jobsvc.audit_entry (
    id, time, identity, user_id, peer, method, target, outcome, trace_id, calls)
SELECT id, statement_timestamp() - age * interval '1 second', identity, user_id, peer, method,
    target, outcome, trace_id, calls
FROM unnest($1::uuid[], $2::float8[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
            $8::text[], $9::text[], $10::integer[])
    AS noted (id, age, identity, user_id, peer, method, target, outcome, trace_id, calls)
ON CONFLICT (id) DO NOTHING
