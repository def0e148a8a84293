-- Code from 0006_emptied_jobs on runs on this.
-- The orders in which lists walk jobs of which there are few among many: those of a user, of a
-- session, and those that failed or were cancelled. A job that is bound to nobody and completes has
-- no entry in any of them, so that it costs nothing more.
CREATE INDEX job_of_user ON job (owner_user, id) WHERE owner_user <> '';
CREATE INDEX job_of_session ON job (owner_session, id) WHERE owner_session IS NOT NULL;
CREATE INDEX result_unsuccessful ON result (state, job_id) WHERE state <> 3;
