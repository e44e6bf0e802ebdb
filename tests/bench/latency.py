"""From webhook sent to the first byte of the eyes' request at GitHub, and to the run created.

    latency.py [--commands 200] [--pushes 30] [--gap 10ms] [--against FOLDER]

One command at a time, on an empty queue, with warm connections and a pipeline that is compiled already. Times
are taken at the stub: the first byte of the request for the reaction, and the last byte of POST /runs, against
the moment at which the webhook (14 KB, in one write) was handed to the kernel. A second series pushes a new
commit before each command, so that it includes a fetch.

Two yardsticks are taken before each command, because they show what the machine was like at that moment: a webhook
that is answered without a commit (a round trip between the same processes), and a write of 12 KB with fdatasync in
the database's folder. A p99 of the bot cannot be better than theirs.
"""

import argparse
import os
import time

import kit

ROUNDS = 10


def one(hook, stub, seen: int, repo) -> tuple[dict, int]:
    """Gives one command and waits for its end; what was seen, in milliseconds, and the records until then."""
    if repo:
        repo.commit()
    asked, told = hook.send("star", {"action": "created"})
    synced = kit.sync_once(hook.daemon.state_dir)
    sent, answered = hook.comment("/build_run")

    def ended():
        records = stub.records(seen)
        runs = [r for r in records if r["method"] == "POST" and r["path"].endswith("/v2beta1/runs")]
        folded = [r for r in records if r["method"] == "DELETE"]  # the eyes go when the end is shown
        return records if runs and folded and time.monotonic_ns() - records[-1]["last_ns"] > 5e7 else None
    records = kit.wait_until(ended, "the end of a command", every=0.02)
    eyes = next(r for r in records if r["content"] == "eyes")
    run = next(r for r in records if r["method"] == "POST" and r["path"].endswith("/v2beta1/runs"))
    return ({"trip": (told - asked) / 1e6, "disk": synced, "answer": (answered - sent) / 1e6, "eyes": (eyes["first_ns"] - sent) / 1e6,
             "run": (run["last_ns"] - sent) / 1e6}, seen + len(records))


class Side:
    """A daemon with its stub and what was measured with it."""

    def __init__(self, folder, build: str | None, gap: str):
        folder.mkdir(parents=True)
        self.name = build or ""
        self.repo = kit.Repository(folder)
        self.stub = kit.Stub(folder, self.repo.bare)
        self.daemon = kit.Daemon(folder, self.stub.url, build=build, changes={
            "github": {"write_gap": gap, "writes_per_minute": 10000, "writes_per_hour": 100000}})
        self.found: dict[str, list[dict]] = {}
        self.cpu: dict[str, float] = {}
        self.daemon.start()
        self.daemon.wait_greeted()
        self.hook = kit.Hook(self.daemon)
        _, self.seen = one(self.hook, self.stub, 0, None)  # the token, the connections, the mirror

    def measure(self, series: str, count: int, repo=None) -> None:
        cpu = self.daemon.cpu_ms()
        for _ in range(count):
            figures, self.seen = one(self.hook, self.stub, self.seen, repo)
            self.found.setdefault(series, []).append(figures)
        self.cpu[series] = self.cpu.get(series, 0) + self.daemon.cpu_ms() - cpu

    def stop(self) -> None:
        self.daemon.stop()
        self.stub.stop()

    def show(self) -> None:
        for series, found in self.found.items():
            for key, what, aim in (("trip", "yardstick: webhook without a commit", ""),
                                   ("disk", "yardstick: write and fdatasync", ""),
                                   ("answer", "202 answered", ""),
                                   ("eyes", "first byte of the eyes' request", "5 (p99)"),
                                   ("run", "run created", "200")):
                values = [figures[key] for figures in found]
                kit.row(self.name, series, what, len(values), *(f"{v:.2f}" for v in (
                    min(values), *(kit.percentile(values, share) for share in (0.5, 0.9, 0.99)))), aim)
            kit.row(self.name, series, "processor time of a command (mean)", len(found), "",
                    f"{self.cpu[series] / len(found):.1f}", "", "", "")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commands", type=int, default=200)
    parser.add_argument("--pushes", type=int, default=30)
    parser.add_argument("--gap", default="10ms", help="github.write_gap; it spaces what follows the eyes")
    parser.add_argument("--against", help="a second folder with a kfopsd, measured in turns with the first")
    args = parser.parse_args()
    folder = kit.bench_dir() / "latency"
    kit.remove(folder)
    sides = []
    try:
        for build in (None, args.against) if args.against else (None,):
            sides.append(Side(folder / str(len(sides)), build, args.gap))
        for _ in range(ROUNDS):
            for side in sides:
                side.measure("same commit", max(1, args.commands // ROUNDS))
                if args.pushes:
                    side.measure("a push before each", max(1, args.pushes // ROUNDS), side.repo)
    finally:
        for side in sides:
            side.stop()
    print(f"{kit.machine()}; write_gap {args.gap}; load {os.getloadavg()[0]:.1f}\n")
    kit.table("build", "series", "milliseconds from the webhook's last byte", "n", "min", "p50", "p90", "p99", "aim")
    for side in sides:
        side.show()


if __name__ == "__main__":
    main()
