"""From webhook sent to the first byte of the eyes' request at GitHub, and to the run created.

    latency.py [--commands 200] [--pushes 30] [--gap 100ms]

One command at a time, on an empty queue, with warm connections and a pipeline that is compiled already. Times
are taken at the stub: the first byte of the request for the reaction, and the last byte of POST /runs, against
the moment at which the webhook (14 KB, in one write) was handed to the kernel. A second series pushes a new
commit before each command, so that it includes a fetch.
"""

import argparse
import time

import kit


def one(hook, stub, seen: int, repo) -> tuple[dict, int]:
    """Gives one command and waits for its end; what was seen, in milliseconds, and the records until then."""
    if repo:
        repo.commit()
    sent, answered = hook.comment("/build_run")

    def ended():
        records = stub.records(seen)
        runs = [r for r in records if r["method"] == "POST" and r["path"].endswith("/v2beta1/runs")]
        folded = [r for r in records if r["method"] == "DELETE"]  # the eyes go when the end is shown
        return records if runs and folded and time.monotonic_ns() - records[-1]["last_ns"] > 5e7 else None
    records = kit.wait_until(ended, "the end of a command", every=0.02)
    eyes = next(r for r in records if r["content"] == "eyes")
    run = next(r for r in records if r["method"] == "POST" and r["path"].endswith("/v2beta1/runs"))
    return ({"answer": (answered - sent) / 1e6, "eyes": (eyes["first_ns"] - sent) / 1e6,
             "run": (run["last_ns"] - sent) / 1e6}, seen + len(records))


def series(name: str, hook, stub, count: int, repo=None) -> None:
    seen = len(stub.records())
    found = []
    for _ in range(count):
        figures, seen = one(hook, stub, seen, repo)
        found.append(figures)
    for key, what, aim in (("answer", "202 answered", ""), ("eyes", "first byte of the eyes' request", "5 (p99)"),
                           ("run", "run created", "200")):
        values = [figures[key] for figures in found]
        kit.row(name, what, count, *(f"{v:.2f}" for v in (min(values), kit.percentile(values, 0.5),
                                                           kit.percentile(values, 0.99), max(values))), aim)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commands", type=int, default=200)
    parser.add_argument("--pushes", type=int, default=30)
    parser.add_argument("--gap", default="10ms", help="github.write_gap; it spaces what follows the eyes")
    args = parser.parse_args()
    folder = kit.bench_dir() / "latency"
    kit.remove(folder)
    folder.mkdir()
    repo = kit.Repository(folder)
    stub = kit.Stub(folder, repo.bare)
    daemon = kit.Daemon(folder, stub.url, changes={
        "github": {"write_gap": args.gap, "writes_per_minute": 10000, "writes_per_hour": 100000}})
    try:
        daemon.start()
        daemon.wait_greeted()
        hook = kit.Hook(daemon)
        one(hook, stub, 0, None)  # the token, the connections, the mirror
        print(f"{kit.machine()}; write_gap {args.gap}\n")
        kit.table("series", "milliseconds from the webhook's last byte", "n", "min", "p50", "p99", "max", "aim")
        series("same commit", hook, stub, args.commands)
        series("a push before each", hook, stub, args.pushes, repo)
    finally:
        daemon.stop()
        stub.stop()


if __name__ == "__main__":
    main()
