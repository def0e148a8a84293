-- Code from 0006_emptied_jobs on runs on this.
-- Why a queue is paused, and when that ends by itself (NULL: it does not). Code from before this
-- takes such a queue for paused until somebody resumes it.
ALTER TABLE queue ADD COLUMN pause_reason text NOT NULL DEFAULT '';
ALTER TABLE queue ADD COLUMN pause_end_time timestamptz;
-- No job is created while as many wait; NULL for no limit.
ALTER TABLE queue ADD COLUMN max_waiting bigint;
-- Since when the queue is being removed with all its jobs. It is paused then.
ALTER TABLE queue ADD COLUMN delete_time timestamptz;
-- Why the cancellation of a job that has ended was requested; NULL if it was not, or without words.
ALTER TABLE result ADD COLUMN IF NOT EXISTS cancel_reason text;
-- Whether the worker was seen by a unary call, and is on no stream.
ALTER TABLE worker ADD COLUMN unary boolean NOT NULL DEFAULT false;
-- Workers that were told to finish what they hold and take no more: they are not connected for ever.
CREATE TABLE drained_worker (
    worker_id  text PRIMARY KEY,
    reason     text NOT NULL,
    drain_time timestamptz NOT NULL DEFAULT clock_timestamp()
);
