-- People whom nobody here knows can comment on a public repository: what they may cost is bounded.

-- Who has been allowed to change something in a repository.
CREATE TABLE people (
  repo_id    INTEGER NOT NULL,
  actor_id   INTEGER NOT NULL,
  allowed_at INTEGER NOT NULL,
  PRIMARY KEY (repo_id, actor_id)
) STRICT, WITHOUT ROWID;

-- When somebody else was answered last on a pull request, and when they are next looked at.
CREATE TABLE answers (
  repo_id  INTEGER NOT NULL,
  pr       INTEGER NOT NULL,
  actor_id INTEGER NOT NULL,
  at       INTEGER NOT NULL,
  next_at  INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (repo_id, pr, actor_id)
) STRICT, WITHOUT ROWID;

-- 1: by a stranger; 2: by one who has been answered within the hour, so nothing is said.
ALTER TABLE jobs ADD COLUMN stranger INTEGER NOT NULL DEFAULT 0 CHECK (stranger BETWEEN 0 AND 2);
