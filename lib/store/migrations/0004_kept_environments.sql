-- An environment may stay with the pull request that deployed there until that is merged or closed.
-- It stands beside a person's lock: other pull requests wait for both.
ALTER TABLE environments ADD COLUMN kept_pr INTEGER;
ALTER TABLE environments ADD COLUMN keeper_id INTEGER;
ALTER TABLE environments ADD COLUMN keeper TEXT;
ALTER TABLE environments ADD COLUMN kept_at INTEGER
  CHECK ((kept_pr IS NULL) = (kept_at IS NULL));
