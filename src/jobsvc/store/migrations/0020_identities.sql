-- Code from 0006_emptied_jobs on runs on this.
-- Keys by which callers prove who they are. Of a secret there is a digest only.
CREATE TABLE api_key (
    id            text PRIMARY KEY,
    name          text NOT NULL,
    digest        bytea NOT NULL,
    roles         text[] NOT NULL,
    queues        text[] NOT NULL,
    create_time   timestamptz NOT NULL,
    expire_time   timestamptz,
    revoke_time   timestamptz,
    last_use_time timestamptz
);
