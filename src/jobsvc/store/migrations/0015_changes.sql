-- Code from 0006_emptied_jobs on runs on this.
-- The jobs that have changed since a time, for WatchJobs: those that have ended, and those that wait
-- after something has happened to them. A job that is created has no entry, nor has one that runs:
-- the former are found by their ids, and of the latter there are few.
CREATE INDEX result_end ON result (end_time);
CREATE INDEX waiting_changed ON waiting (update_time) WHERE version > 1;
