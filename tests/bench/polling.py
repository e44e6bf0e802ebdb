"""Calls to Kubeflow in a minute with 10, 1,000 and 100,000 parked runs in five namespaces, and how soon an end is seen.

    polling.py [--parked 10,1000,100000] [--minutes 3] [--rest 150]

Default settings; the runs are two days old, so that no single run is looked at by itself. Counting starts after a
time of rest, and goes on for some minutes, of which the fullest counts. The sweep, which looks at every waiting run
once an hour, is part of what is counted. Then runs end at the stub, one at a time, and the time until their job has
ended is taken.
"""

import argparse
import collections
import shutil
import time

import kit

NAMESPACES = kit.NAMESPACES
ENDS = 3


def classify(record: dict) -> str:
    if record["path"].endswith("/runs"):
        return "sweep" if "run_id" in record["filter"] else "feed"
    return "other"


def run_id(number: int) -> str:
    """As bench_fill.c makes them."""
    return f"{number * 2654435761 & 0xffffffff:08x}-3c1f-4a8e-9a55-{number:012x}"


def seen_after(daemon, stub, number: int) -> float:
    """Seconds from the end of a run to the end of its job."""
    done = daemon.metric('kfops_jobs_ended_total{state="done"}')
    ended = time.monotonic()
    stub.set(ended=[run_id(number)])
    kit.wait_until(lambda: daemon.metric('kfops_jobs_ended_total{state="done"}') > done, "a job to end", every=0.05)
    return time.monotonic() - ended


def measure(folder, parked: int, minutes: int, rest: float) -> None:
    kit.remove(folder)
    (folder / "state").mkdir(parents=True, mode=0o700)
    database = folder.parent / f"jobs-{parked}-0.db"
    if not database.exists():
        kit.fill(database, parked, 0, NAMESPACES)
    shutil.copy(database, folder / "state" / "kfops.db")
    stub = kit.Stub(folder)
    daemon = kit.Daemon(folder, stub.url, changes={"report": {"notify_after": "0s"}})
    try:
        daemon.start()
        daemon.wait_greeted()
        time.sleep(rest)
        counts = []
        cpu = daemon.cpu_ms()
        for _ in range(minutes):
            before = len(stub.records())
            time.sleep(60)
            counts.append(collections.Counter(classify(r) for r in stub.records(before)
                                              if r["path"].startswith("/apis/")))
        cpu = (daemon.cpu_ms() - cpu) / minutes
        fullest = max(counts, key=lambda count: count.total())
        ends = [seen_after(daemon, stub, number) for number in range(1, 1 + min(ENDS, parked - 1))]
        kit.row(f"{parked:,}", fullest["feed"], fullest["sweep"], fullest["other"], fullest.total(), "60",
                f"{cpu / 600:.2f} %", f"{max(ends):.1f}", "15")
    finally:
        daemon.stop()
        stub.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parked", default="10,1000,100000")
    parser.add_argument("--minutes", type=int, default=3)
    parser.add_argument("--rest", type=float, default=150)
    args = parser.parse_args()
    print(f"{kit.machine()}; {NAMESPACES} namespaces; the fullest of {args.minutes} minutes\n")
    kit.table("parked runs", "feed", "sweep", "other", "calls in a minute", "aim", "of one core",
              f"end seen after, s (longest of {ENDS})", "aim")
    for parked in args.parked.split(","):
        measure(kit.bench_dir() / "polling", int(parked), args.minutes, args.rest)


if __name__ == "__main__":
    main()
