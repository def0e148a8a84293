-- Code from 0006_emptied_jobs on runs on this.
-- What became of the jobs of a queue in a minute, for a day. Only minutes in which something
-- happened, or was waiting or running, have a row. Histograms and failures are counts by position:
-- `BOUNDARIES` and `REASONS` in `domain/queue_history.py` name the positions; zeros at the end are
-- left out.
CREATE TABLE queue_minute (
    queue      text NOT NULL,
    minute     timestamptz NOT NULL,
    created    integer NOT NULL DEFAULT 0,
    completed  integer NOT NULL DEFAULT 0,
    cancelled  integer NOT NULL DEFAULT 0,
    retried    integer NOT NULL DEFAULT 0,
    ready      integer NOT NULL DEFAULT 0,    -- when somebody looked; so `processing`
    processing integer NOT NULL DEFAULT 0,
    failed     integer[] NOT NULL DEFAULT '{}',
    wait       integer[] NOT NULL DEFAULT '{}',
    run        integer[] NOT NULL DEFAULT '{}',
    writes     bigint[] NOT NULL DEFAULT '{}', -- of which this is the sum: each replica's once
    PRIMARY KEY (queue, minute)
-- A row is changed once by each further replica, within seconds, and then never: a third of the
-- page is enough for that, with what is pruned. A day of rows goes by a minute's worth at a time,
-- so dead rows come evenly; 2 % of a full day are some minutes of its busiest use.
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX queue_minute_minute ON queue_minute (minute);
