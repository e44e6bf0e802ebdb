-- The record of decisions and changes, which only grows. Each row carries the digest of the one
-- before; lib/core/audit.c says how a digest is made.
CREATE TABLE audit (
  no       INTEGER PRIMARY KEY,
  at       INTEGER NOT NULL,
  actor_id INTEGER NOT NULL,
  actor    TEXT NOT NULL,
  command  TEXT NOT NULL,
  decision TEXT NOT NULL CHECK (decision <> ''),
  code     TEXT NOT NULL,
  sha      TEXT NOT NULL,
  repo_id  INTEGER NOT NULL,
  repo     TEXT NOT NULL,
  pr       INTEGER NOT NULL,
  job_id   INTEGER NOT NULL,
  effect   TEXT NOT NULL,
  before   TEXT NOT NULL,
  after    TEXT NOT NULL,
  previous BLOB NOT NULL CHECK (length(previous) = 32),
  digest   BLOB NOT NULL CHECK (length(digest) = 32)
) STRICT;

CREATE TRIGGER audit_stays BEFORE UPDATE ON audit BEGIN
  SELECT raise(ABORT, 'rows of the audit are not changed');
END;
CREATE TRIGGER audit_keeps BEFORE DELETE ON audit BEGIN
  SELECT raise(ABORT, 'rows of the audit are not deleted');
END;
-- A row goes to the end and nowhere else; so none can take the place of another.
CREATE TRIGGER audit_goes_on BEFORE INSERT ON audit
WHEN new.no <> coalesce((SELECT max(no) FROM audit), 0) + 1 BEGIN
  SELECT raise(ABORT, 'rows of the audit are added at its end');
END;
