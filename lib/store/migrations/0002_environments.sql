-- Environments: who may act on one now, who waits, and what was put there.

-- One row an environment that somebody has ever held. A holding job that has ended holds nothing,
-- so a lock cannot outlive its job. The fence grows with each holder and goes to the far side. A
-- person's lock stands beside it, and lets only that person's jobs take the environment.
CREATE TABLE environments (
  repo_id   INTEGER NOT NULL,
  name      TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 63),
  fence     INTEGER NOT NULL DEFAULT 0 CHECK (fence >= 0),
  job_id    INTEGER,
  taken_at  INTEGER,
  person_id INTEGER,
  person    TEXT,
  person_pr INTEGER,
  reason    TEXT,
  locked_at INTEGER,
  until     INTEGER,
  PRIMARY KEY (repo_id, name),
  CHECK ((job_id IS NULL) = (taken_at IS NULL)),
  CHECK ((person_id IS NULL) = (locked_at IS NULL))
) STRICT, WITHOUT ROWID;

-- The line before an environment, its holder included, in the order of coming.
CREATE TABLE environment_line (
  no      INTEGER PRIMARY KEY,
  repo_id INTEGER NOT NULL,
  name    TEXT NOT NULL,
  job_id  INTEGER NOT NULL UNIQUE REFERENCES jobs (id) ON DELETE CASCADE,
  since   INTEGER NOT NULL
) STRICT;
CREATE INDEX environment_line_of ON environment_line (repo_id, name, no);

-- What was put where: one row a job that began to change an environment.
CREATE TABLE deployments (
  id           INTEGER PRIMARY KEY,
  repo_id      INTEGER NOT NULL,
  environment  TEXT NOT NULL,
  state        INTEGER NOT NULL CHECK (state BETWEEN 1 AND 5),
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
  revision     TEXT,
  remote_id    INTEGER,
  started_at   INTEGER NOT NULL,
  ended_at     INTEGER,
  CHECK ((ended_at IS NULL) = (state = 1))
) STRICT;
CREATE INDEX deployments_of ON deployments (repo_id, environment, state, id);
