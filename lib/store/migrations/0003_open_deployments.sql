-- A rollout may end before its model has all traffic: the deployment is open (state 6) until
-- somebody promotes it or takes it out. `plan` is what has to be known to take a rollout up again
-- when its job is gone: the merge, the sample requests, the times. SQLite changes no CHECK of a
-- table that is there, so the table is made anew.
CREATE TABLE deployments_with_plan (
  id           INTEGER PRIMARY KEY,
  repo_id      INTEGER NOT NULL,
  environment  TEXT NOT NULL,
  state        INTEGER NOT NULL CHECK (state BETWEEN 1 AND 6),
  job_id       INTEGER NOT NULL UNIQUE,
  uid          TEXT NOT NULL,
  pr           INTEGER NOT NULL,
  head_sha     TEXT NOT NULL,
  run_id       TEXT NOT NULL,
  actor_id     INTEGER NOT NULL,
  actor        TEXT NOT NULL,
  fence        INTEGER NOT NULL,
  namespace    TEXT NOT NULL,
  service      TEXT NOT NULL,
  storage_uri  TEXT NOT NULL,
  model_digest TEXT NOT NULL,
  percent      INTEGER NOT NULL DEFAULT 0 CHECK (percent BETWEEN 0 AND 100),
  template     TEXT NOT NULL,
  before       TEXT NOT NULL,
  plan         TEXT NOT NULL DEFAULT '{}',
  revision     TEXT,
  remote_id    INTEGER,
  started_at   INTEGER NOT NULL,
  ended_at     INTEGER,
  CHECK ((ended_at IS NULL) = (state = 1))
) STRICT;
INSERT INTO deployments_with_plan (id, repo_id, environment, state, job_id, uid, pr, head_sha,
  run_id, actor_id, actor, fence, namespace, service, storage_uri, model_digest, percent, template,
  before, revision, remote_id, started_at, ended_at)
  SELECT id, repo_id, environment, state, job_id, uid, pr, head_sha, run_id, actor_id, actor, fence,
  namespace, service, storage_uri, model_digest, percent, template, before, revision, remote_id,
  started_at, ended_at FROM deployments;
DROP TABLE deployments;
ALTER TABLE deployments_with_plan RENAME TO deployments;
CREATE INDEX deployments_of ON deployments (repo_id, environment, state, id);
