"""What one /build_run costs: commits, bytes, processor time, and calls to GitHub and Kubeflow.

    steps.py [--commands 30] [--gap 1s]

Each command runs to its end before the next is given; figures are medians over the commands. The gap between two
writes to GitHub decides how many states a comment shows on the way: with the default of a second most of them are
overtaken before they are sent.
"""

import argparse
import collections
import re
import statistics
import time

import kit


def kind_of(record: dict) -> str:
    path = record["path"]
    path = re.sub(r"^/api/v3", "", re.sub(r"^/apis/v2beta1", "kfp", path))
    path = re.sub(r"/repos/[^/]+/[^/]+", "", path)
    path = re.sub(r"/[0-9a-f]{8}-[0-9a-f-]{27}", "/ID", path)
    path = re.sub(r"/\d+", "/N", path)
    path = re.sub(r"/(names|collaborators)/[^/]+", r"/\1/NAME", path)
    if path.startswith("/lab/"):
        path = "git " + path.partition(".git")[2]
    return f"{record['method']} {path}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commands", type=int, default=30)
    parser.add_argument("--gap", default="1s")
    args = parser.parse_args()
    folder = kit.bench_dir() / "steps"
    kit.remove(folder)
    folder.mkdir()
    repo = kit.Repository(folder)
    stub = kit.Stub(folder, repo.bare)
    daemon = kit.Daemon(folder, stub.url, changes={
        "github": {"write_gap": args.gap, "writes_per_minute": 10000, "writes_per_hour": 100000},
        "poll": {"deliveries_interval": "1d"}})
    try:
        daemon.start()
        daemon.wait_greeted()
        hook = kit.Hook(daemon)
        figures = [one(daemon, hook, stub) for _ in range(args.commands + 1)][1:]
    finally:
        daemon.stop()
        stub.stop()
    print(f"{kit.machine()}; write_gap {args.gap}; medians of {args.commands} commands\n")
    kit.table("one /build_run", "")
    for key, name in (("commits", "commits"), ("written", "bytes written to the disk"),
                      ("wal", "bytes of them in the database's log"), ("cpu", "processor time, ms"),
                      ("github", "calls to GitHub"), ("github_writes", "of them writes"), ("kfp", "calls to Kubeflow")):
        kit.row(name, f"{statistics.median(f[key] for f in figures):g}")
    print()
    kit.table("call", "times")
    calls = collections.Counter()
    for figure in figures:
        calls.update(figure["calls"])
    for call, count in sorted(calls.items(), key=lambda item: (item[0].split()[1], item[0])):
        kit.row(f"`{call}`", f"{count / len(figures):.2g}")


def one(daemon, hook, stub) -> dict:
    seen = len(stub.records())
    before = state_of(daemon)
    hook.comment("/build_run")

    def ended():
        records = stub.records(seen)
        over = any(r["method"] == "DELETE" for r in records)
        return records if over and daemon.metric("kfops_outbox_waiting") == 0 and quiet(records) else None

    def quiet(records):
        return time.monotonic_ns() - records[-1]["last_ns"] > 2.5e9
    records = kit.wait_until(ended, "the end of a command", every=0.1)
    after = state_of(daemon)
    calls = collections.Counter(kind_of(r) for r in records)
    github = [r for r in records if r["path"].startswith("/api/v3")]
    return {**{key: after[key] - before[key] for key in before}, "calls": calls, "github": len(github),
            "github_writes": sum(r["method"] != "GET" for r in github),
            "kfp": sum(r["path"].startswith("/apis/") for r in records)}


def state_of(daemon) -> dict:
    wal = daemon.state_dir / "kfops.db-wal"
    return {"commits": daemon.metric("kfops_commits"), "written": daemon.written(), "cpu": daemon.cpu_ms(),
            "wal": wal.stat().st_size if wal.exists() else 0}


if __name__ == "__main__":
    main()
