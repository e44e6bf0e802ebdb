-- The first schema. Times are milliseconds UTC; ids of GitHub are stored as it sends them.

-- Small named values: incarnation, how the last process stopped, cursors.
CREATE TABLE meta (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- One row for each delivery that was taken in: the first key against doubles. Keyed by the GUID
-- itself, so that the hottest insert touches one tree; old rows are found by walking the table
-- when idle.
CREATE TABLE deliveries (
  guid            BLOB PRIMARY KEY CHECK (length(guid) = 16),
  event           TEXT NOT NULL,
  action          TEXT NOT NULL,
  source          INTEGER NOT NULL CHECK (source BETWEEN 0 AND 2),
  installation_id INTEGER NOT NULL,
  repo_id         INTEGER NOT NULL,
  pr              INTEGER NOT NULL,
  comment_id      INTEGER NOT NULL,
  sender_id       INTEGER NOT NULL,
  received_at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Heads of pull requests as GitHub reported them, by the time of the report.
CREATE TABLE heads (
  repo_id     INTEGER NOT NULL,
  pr          INTEGER NOT NULL,
  at          INTEGER NOT NULL,
  head_sha    TEXT NOT NULL CHECK (length(head_sha) IN (40, 64)),
  action      TEXT NOT NULL,
  received_at INTEGER NOT NULL,
  PRIMARY KEY (repo_id, pr, at, head_sha)
) STRICT, WITHOUT ROWID;

-- One row a command. The id is inside the uid, so a uid needs no index of its own.
CREATE TABLE jobs (
  id              INTEGER PRIMARY KEY,
  uid             TEXT NOT NULL CHECK (length(uid) = 26),
  installation_id INTEGER NOT NULL,
  repo_id         INTEGER NOT NULL,
  pr              INTEGER NOT NULL,
  comment_id      INTEGER NOT NULL,
  cmd_no          INTEGER NOT NULL CHECK (cmd_no >= 0),
  state           INTEGER NOT NULL CHECK (state BETWEEN 0 AND 4 OR state BETWEEN 10 AND 15),
  step            TEXT NOT NULL DEFAULT '' CHECK (length(step) < 32),
  tries           INTEGER NOT NULL DEFAULT 0 CHECK (tries >= 0),
  crashes         INTEGER NOT NULL DEFAULT 0 CHECK (crashes >= 0),
  deaths          INTEGER NOT NULL DEFAULT 0 CHECK (deaths >= 0),
  lease           INTEGER,
  cancel          INTEGER NOT NULL DEFAULT 0 CHECK (cancel IN (0, 1)),
  read_only       INTEGER NOT NULL CHECK (read_only IN (0, 1)),
  keep_going      INTEGER NOT NULL CHECK (keep_going IN (0, 1)),
  end_state       INTEGER NOT NULL DEFAULT 0 CHECK (end_state = 0 OR end_state BETWEEN 10 AND 15),
  wait_kind       INTEGER NOT NULL DEFAULT 0,
  due_at          INTEGER NOT NULL,
  deadline_at     INTEGER NOT NULL,
  comment_at      INTEGER NOT NULL,
  created_at      INTEGER NOT NULL,
  started_at      INTEGER,
  finished_at     INTEGER,
  origin_id       INTEGER,
  actor_id        INTEGER NOT NULL,
  repo            TEXT NOT NULL,
  actor           TEXT NOT NULL,
  command         TEXT NOT NULL,
  line            TEXT NOT NULL,
  args            TEXT NOT NULL,
  data            TEXT NOT NULL DEFAULT '{}',
  head_sha        TEXT,
  wait_ref        TEXT,
  cancelled_by    TEXT,
  code            TEXT,
  message         TEXT,
  end_code        TEXT,
  end_message     TEXT,
  CHECK ((lease IS NOT NULL) = (state = 1)),
  CHECK ((finished_at IS NOT NULL) = (state >= 10)),
  CHECK (end_state = 0 OR state NOT IN (2, 4))
) STRICT;

-- The second key against doubles (two hooks send two GUIDs for one comment), and a pull request's
-- list.
CREATE UNIQUE INDEX jobs_once ON jobs (repo_id, pr, comment_id, cmd_no);
-- Unfinished jobs of a pull request, for its order; those already on their way out are set apart.
-- The condition is not on the state, so that a change of state leaves this index alone.
CREATE INDEX jobs_live ON jobs (repo_id, pr, end_state, read_only, comment_id, cmd_no)
  WHERE finished_at IS NULL;
CREATE INDEX jobs_due ON jobs (due_at, state, deadline_at) WHERE state IN (0, 3);
CREATE INDEX jobs_waiting ON jobs (due_at, state, deadline_at) WHERE state IN (2, 4);
CREATE INDEX jobs_parked ON jobs (wait_kind) WHERE state = 2;
CREATE INDEX jobs_ref ON jobs (wait_ref) WHERE state = 2;
CREATE INDEX jobs_leased ON jobs (lease) WHERE lease IS NOT NULL;

-- How many jobs are stored in each final state; counting a million rows for a metric takes too
-- long.
CREATE TABLE ended (
  state INTEGER PRIMARY KEY CHECK (state BETWEEN 10 AND 15),
  count INTEGER NOT NULL
) STRICT;

-- What a step asked of the world: the intent before it happens, the result after it. Steps stand
-- here and in jobs by their names, because an upgrade may put one before another.
CREATE TABLE steps (
  job_id     INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
  step       TEXT NOT NULL,
  effect     TEXT NOT NULL,
  phase      INTEGER NOT NULL CHECK (phase IN (1, 2, 3)),
  tries      INTEGER NOT NULL DEFAULT 0,
  started_at INTEGER NOT NULL,
  ended_at   INTEGER,
  args       TEXT,
  result     TEXT,
  error      TEXT,
  PRIMARY KEY (job_id, step, effect),
  CHECK (phase = 1 OR ended_at IS NOT NULL)
) STRICT, WITHOUT ROWID;

-- What GitHub must come to show; one row a slot.
CREATE TABLE outbox (
  id              INTEGER PRIMARY KEY,
  slot            TEXT NOT NULL UNIQUE CHECK (length(slot) BETWEEN 1 AND 95),
  kind            INTEGER NOT NULL CHECK (kind BETWEEN 1 AND 5),
  urgency         INTEGER NOT NULL CHECK (urgency BETWEEN 0 AND 2),
  job_id          INTEGER NOT NULL,
  installation_id INTEGER NOT NULL,
  repo_id         INTEGER NOT NULL,
  pr              INTEGER NOT NULL,
  version         INTEGER NOT NULL DEFAULT 1,
  sent_version    INTEGER NOT NULL DEFAULT 0 CHECK (sent_version <= version),
  maybe_sent      INTEGER NOT NULL DEFAULT 0 CHECK (maybe_sent IN (0, 1)),
  tries           INTEGER NOT NULL DEFAULT 0,
  refusals        INTEGER NOT NULL DEFAULT 0,
  due_at          INTEGER NOT NULL,
  wished_at       INTEGER NOT NULL,
  remote_id       INTEGER,
  repo            TEXT NOT NULL,
  want            TEXT NOT NULL,
  remote_node_id  TEXT,
  error           TEXT
) STRICT;
CREATE INDEX outbox_due ON outbox (urgency, installation_id, due_at)
  WHERE sent_version < version AND refusals < 10;
