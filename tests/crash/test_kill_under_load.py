"""kill -9 while webhooks come in: what was answered 202 is there, once, and ends."""

import os
import random
import time
import uuid

import rounds
import sender

SEED = 4711
CYCLES = 10
CYCLES_NIGHTLY = 100
FIRST_COMMENT = 7_000_000_000  # comments that the stand-in does not have: only the webhooks count here
RATE = 200.0  # a second, about: every one becomes a comment before the test ends
END_S = 120.0


def stored(bot) -> tuple[set, dict]:
    """GUIDs in the database, and the number of jobs of each comment."""
    guids = {bytes(row["guid"]) for row in bot.rows("SELECT guid FROM deliveries")}
    jobs = {row["comment_id"]: row["n"] for row in
            bot.rows("SELECT comment_id, count(*) AS n FROM jobs GROUP BY comment_id")}
    return guids, jobs


def check_nothing_is_lost(bot, source) -> None:
    accepted = source.accepted()  # before the look at the database: more come in meanwhile
    guids, jobs = stored(bot)
    lost = [item.guid for item in accepted
            if uuid.UUID(item.guid).bytes not in guids or not jobs.get(item.comment_id)]
    assert not lost, f"{len(lost)} of {len(accepted)} answered 202 are not there: {lost[:5]}"
    twice = {comment: n for comment, n in jobs.items() if n > 1}
    assert not twice, f"comments with more than one job: {twice}"


def test_kill_9_under_load_loses_and_doubles_nothing(stage, nightly, tell):
    cycles = CYCLES_NIGHTLY if nightly else CYCLES
    dice = random.Random(int(os.environ.get("KFOPS_SEED", SEED)))
    scene, bot = stage.scene, stage.bot
    source = sender.Sender(bot.port, scene.webhook_secret, sender.sample(scene), "/help",
                           FIRST_COMMENT, seed=dice.getrandbits(32), rate=RATE)
    source.start()
    try:
        for _ in range(cycles):
            time.sleep(dice.uniform(0.02, 0.6))  # the kill may fall anywhere, a start included
            bot.stop(kill=True)
            if dice.random() < 0.3:
                bot.process = None
                rounds.spawn(bot)
                time.sleep(dice.uniform(0.0, 0.1))
                bot.stop(kill=True)
            assert rounds.launch(bot)
            check_nothing_is_lost(bot, source)
    finally:
        source.stop()
    unclear = [item for item in source.sent if not item.is_accepted]
    for item in unclear:  # as GitHub's log of deliveries makes it come again
        assert source.post(item) == 202
    assert all(item.is_accepted for item in source.sent)
    check_nothing_is_lost(bot, source)
    patience = END_S + cycles
    scene.wait_until(lambda: not bot.unfinished(), "every job to be at rest", patience)
    scene.wait_until(lambda: not bot.unsaid(), "everything to be said", patience)
    ends = {row["state"]: row["n"] for row in
            bot.rows("SELECT state, count(*) AS n FROM jobs GROUP BY state")}
    assert ends == {10: len(source.sent)}
    said = [item["body"].split("\n", 1)[0] for item in bot.comments()]  # the marker names the job
    assert len(said) == len(set(said)) == len(source.sent)
    tell(f"{cycles} kills, {len(source.sent)} webhooks, {len(source.sent) - len(unclear)} answered 202 at "
         f"once, 0 of them lost; {len(unclear)} sent again")
    assert len(source.sent) > 20 * cycles, "that was no load"
    assert stage.violations() == []
