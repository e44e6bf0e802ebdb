-- What people said by /approve: once a person and job, of the commit that the job has. It waits for
-- nothing else than to be counted; whether it counts is asked anew each time.
CREATE TABLE approvals (
  job_id  INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
  user_id INTEGER NOT NULL,
  login   TEXT NOT NULL,
  sha     TEXT NOT NULL CHECK (length(sha) IN (40, 64)),
  at      INTEGER NOT NULL,
  PRIMARY KEY (job_id, user_id)
) STRICT, WITHOUT ROWID;
