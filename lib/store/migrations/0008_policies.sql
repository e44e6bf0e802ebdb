-- What policies of repositories need to be remembered.

-- Numeric ids of the logins that a repository's policy names, from the first time they were seen
-- there: a login that goes to somebody else later is still the first one. 0: nobody had it.
CREATE TABLE policy_users (
  repo_id     INTEGER NOT NULL,
  login       TEXT NOT NULL CHECK (length(login) BETWEEN 1 AND 100),
  user_id     INTEGER NOT NULL CHECK (user_id >= 0),
  resolved_at INTEGER NOT NULL,
  PRIMARY KEY (repo_id, login)
) STRICT, WITHOUT ROWID;

-- Pull requests from which nothing is deployed or merged until somebody says so.
CREATE TABLE holds (
  repo_id   INTEGER NOT NULL,
  pr        INTEGER NOT NULL,
  person_id INTEGER NOT NULL,
  person    TEXT NOT NULL,
  reason    TEXT,
  held_at   INTEGER NOT NULL,
  PRIMARY KEY (repo_id, pr)
) STRICT, WITHOUT ROWID;

-- A person's commands of the last days, for quotas.
CREATE INDEX jobs_of_person ON jobs (repo_id, actor_id, created_at);
