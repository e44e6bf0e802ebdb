-- Which commits of pull requests from forks maintainers have allowed to be used: a row for every
-- word, by the comment in which it was written. Of a commit the newest word counts.
CREATE TABLE fork_oks (
  repo_id    INTEGER NOT NULL,
  pr         INTEGER NOT NULL,
  sha        TEXT NOT NULL CHECK (length(sha) IN (40, 64)),
  comment_id INTEGER NOT NULL,
  cmd_no     INTEGER NOT NULL,
  person_id  INTEGER NOT NULL CHECK (person_id > 0),
  person     TEXT NOT NULL,
  build_only INTEGER NOT NULL CHECK (build_only IN (0, 1)),
  job_id     INTEGER NOT NULL,
  given_at   INTEGER NOT NULL,
  PRIMARY KEY (repo_id, pr, sha, comment_id, cmd_no)
) STRICT, WITHOUT ROWID;
