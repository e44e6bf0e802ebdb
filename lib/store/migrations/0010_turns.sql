-- Whose turn it is: repositories with due jobs, and those with unsent wishes, are gone through in a
-- circle. The indexes that found the oldest find the next repository instead; there are as many as
-- before, so a command costs what it did.
DROP INDEX jobs_due;
CREATE INDEX jobs_due ON jobs (repo_id, due_at, state, deadline_at) WHERE state IN (0, 3);

-- Jobs in hand, by repository.
DROP INDEX jobs_leased;
CREATE INDEX jobs_leased ON jobs (repo_id) WHERE lease IS NOT NULL;

DROP INDEX outbox_due;
CREATE INDEX outbox_due ON outbox (urgency, installation_id, repo_id, due_at)
  WHERE sent_version < version AND refusals < 10;
