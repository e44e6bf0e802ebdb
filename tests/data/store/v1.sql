-- A database as the first release left it after a kill: one job done, one parked, one blocked, one leased.
PRAGMA application_id = 1262899024;
PRAGMA user_version = 1;
PRAGMA auto_vacuum = 2;
BEGIN TRANSACTION;
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
INSERT INTO "deliveries" VALUES(X'A1860100000000000000000000000000','pull_request','opened',0,3,77,7,0,5,1000000);
INSERT INTO "deliveries" VALUES(X'A2860100000000000000000000000000','comment','created',0,3,77,7,100,5,1000000);
INSERT INTO "deliveries" VALUES(X'A3860100000000000000000000000000','comment','created',0,3,77,7,101,5,1000000);
INSERT INTO "deliveries" VALUES(X'A4860100000000000000000000000000','comment','created',0,3,77,8,102,5,1000000);
INSERT INTO "deliveries" VALUES(X'A5860100000000000000000000000000','comment','created',0,3,77,8,103,5,1000000);
CREATE TABLE ended (
  state INTEGER PRIMARY KEY CHECK (state BETWEEN 10 AND 15),
  count INTEGER NOT NULL
) STRICT;
INSERT INTO "ended" VALUES(10,1);
CREATE TABLE heads (
  repo_id     INTEGER NOT NULL,
  pr          INTEGER NOT NULL,
  at          INTEGER NOT NULL,
  head_sha    TEXT NOT NULL CHECK (length(head_sha) IN (40, 64)),
  action      TEXT NOT NULL,
  received_at INTEGER NOT NULL,
  PRIMARY KEY (repo_id, pr, at, head_sha)
) STRICT, WITHOUT ROWID;
INSERT INTO "heads" VALUES(77,7,1000000,'9f8e7d6c5b4a39281706f5e4d3c2b1a098765432','opened',1000000);
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
INSERT INTO "jobs" VALUES(1,'000000YGJ000000001BN411RNY',3,77,7,100,0,10,'upload',0,0,0,NULL,0,0,0,0,0,1000000,87400000,1000000,1000000,1000000,1000000,NULL,5,'acme/iris','ann','build','/build','{"arg":"build"}','{}',NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "jobs" VALUES(2,'000000YGJ000000002A9XC685G',3,77,7,101,0,2,'create_run',0,0,0,NULL,0,0,0,0,1,4600000,87400000,1000000,1000000,1000000,NULL,NULL,5,'acme/iris','ann','run','/run','{"arg":"run"}','{}','9f8e7d6c5b4a39281706f5e4d3c2b1a098765432','0b8e7a52',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "jobs" VALUES(3,'000000YGJ00000000339RAMKRY',3,77,7,101,1,4,'',0,0,0,NULL,0,0,0,0,0,87400000,87400000,1000000,1000000,NULL,NULL,NULL,5,'acme/iris','ann','build','/build','{"arg":"build"}','{}',NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "jobs" VALUES(4,'000000YGJ000000004YNJY3ZRN',3,77,8,102,0,1,'',0,0,0,3,0,0,0,0,0,1000000,87400000,1000000,1000000,1000000,NULL,NULL,5,'acme/iris','ann','build_run','/build_run','{"arg":"build_run"}','{}',NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE meta (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "meta" VALUES('incarnation','3');
INSERT INTO "meta" VALUES('stopped','no');
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
INSERT INTO "outbox" VALUES(1,'eyes:100',1,0,1,3,77,7,1,0,0,0,0,1000000,1000000,NULL,'acme/iris','{"comment_id":100,"content":"eyes"}',NULL,NULL);
INSERT INTO "outbox" VALUES(2,'eyes:101',1,0,2,3,77,7,1,0,0,0,0,1000000,1000000,NULL,'acme/iris','{"comment_id":101,"content":"eyes"}',NULL,NULL);
INSERT INTO "outbox" VALUES(3,'eyes:102',1,0,4,3,77,8,1,0,0,0,0,1000000,1000000,NULL,'acme/iris','{"comment_id":102,"content":"eyes"}',NULL,NULL);
INSERT INTO "outbox" VALUES(4,'end:103',1,0,0,3,77,8,1,0,0,0,0,1000000,1000000,NULL,'acme/iris','{"comment_id":103,"content":"confused"}',NULL,NULL);
INSERT INTO "outbox" VALUES(5,'refusal:103',2,0,0,3,77,8,1,0,0,0,0,1000000,1000000,NULL,'acme/iris','{"body":"<!-- kf:v1 refusal=103 -->\nUnknown command `/biuld`.","marker":"<!-- kf:v1 refusal=103 -->"}',NULL,NULL);
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
INSERT INTO "steps" VALUES(2,'create_run','kfp.create_run',2,1,1000000,1000000,NULL,'{"run_id":"0b8e7a52"}',NULL);
CREATE UNIQUE INDEX jobs_once ON jobs (repo_id, pr, comment_id, cmd_no);
CREATE INDEX jobs_live ON jobs (repo_id, pr, end_state, read_only, comment_id, cmd_no)
  WHERE finished_at IS NULL;
CREATE INDEX jobs_due ON jobs (due_at, state, deadline_at) WHERE state IN (0, 3);
CREATE INDEX jobs_waiting ON jobs (due_at, state, deadline_at) WHERE state IN (2, 4);
CREATE INDEX jobs_parked ON jobs (wait_kind) WHERE state = 2;
CREATE INDEX jobs_ref ON jobs (wait_ref) WHERE state = 2;
CREATE INDEX jobs_leased ON jobs (lease) WHERE lease IS NOT NULL;
CREATE INDEX outbox_due ON outbox (urgency, installation_id, due_at)
  WHERE sent_version < version AND refusals < 10;
COMMIT;
