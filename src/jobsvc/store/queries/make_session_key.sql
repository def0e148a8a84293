-- Makes the key that session ids are hashed with, if there is none.
INSERT INTO jobsvc.secret (name, value)
VALUES ('session_key', sha256(convert_to(gen_random_uuid()::text || gen_random_uuid()::text, 'UTF8')))
ON CONFLICT (name) DO NOTHING
