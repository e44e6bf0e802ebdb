"""Resident memory at rest, and the time from start to listening.

    memory.py [--rounds 10] [--parked 100000] [--jobs 1000000] [--only memory|start]

Memory is read from /proc/PID/status when the far sides have been asked and nothing has happened for three seconds: plain http, https with the system's certificates, after twenty commands, and with many parked jobs. A third reading
after the name of the case comes from smaps_rollup: what is this process's alone (Private_*), without the pages of
libraries that it shares. Start is from fork to the first accepted connection, in turns: no database, one with many
jobs stopped cleanly, and the same killed with -9 under load, with a log of 5 MB and of 64 MB.
"""

import argparse
import pathlib
import shutil
import statistics
import time

import kit

REST_S = 3.0


def private_kib(pid: int) -> int:
    lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


def read(name: str, daemon, aim: str) -> int:
    time.sleep(REST_S)
    seen = daemon.memory()
    kit.row(name, *(f"{seen[key] / 1024:.1f}" for key in ("VmRSS", "RssAnon", "RssFile")),
            f"{private_kib(daemon.process.pid) / 1024:.1f}", aim)
    return seen["VmRSS"]


class Scene:
    """A stub, a daemon with a fresh state (or a copy of a database), started and greeted."""

    def __init__(self, folder: pathlib.Path, database: pathlib.Path | None = None, tls: bool = False,
                 with_repo: bool = False):
        kit.remove(folder)
        folder.mkdir(parents=True)
        repo = kit.Repository(folder) if with_repo else None
        self.stub = kit.Stub(folder, repo.bare if repo else None, tls)
        (folder / "state").mkdir(mode=0o700)
        if database:
            shutil.copy(database, folder / "state" / "kfops.db")
        self.daemon = kit.Daemon(folder, self.stub.url, folder / "certs" if tls else None, changes={
            "github": {"write_gap": "10ms", "writes_per_minute": 10000, "writes_per_hour": 100000}})

    def __enter__(self):
        self.daemon.start()
        self.daemon.wait_greeted()
        return self.daemon

    def __exit__(self, *_):
        self.daemon.stop()
        self.stub.stop()


def memory(folder: pathlib.Path, parked: int) -> None:
    kit.table("MiB", "resident", "anonymous", "of files", "private", "aim")
    with Scene(folder / "https", tls=True) as daemon:
        read("idle, https", daemon, "12")
    scene = Scene(folder / "http", with_repo=True)
    with scene as daemon:
        before = read("idle, http", daemon, "12")
        hook = kit.Hook(daemon)
        for count in range(1, 21):
            hook.comment("/build_run")
            kit.wait_until(lambda: daemon.metric('kfops_jobs_ended_total{state="done"}') >= count, "a command")
        read("after 20 commands", daemon, "")
    with Scene(folder / "parked", jobs(folder, parked, 0)) as daemon:
        after = read(f"{parked:,} parked", daemon, "idle + 2")
    print(f"\n{parked:,} parked jobs take {(after - before) / 1024:+.1f} MiB.\n")


def jobs(folder: pathlib.Path, parked: int, done: int) -> pathlib.Path:
    """Made once and kept, because a million takes minutes."""
    path = folder.parent / f"jobs-{parked}-{done}.db"
    if not path.exists():
        part = path.with_suffix(".part")
        kit.fill(part, parked, done)
        part.rename(path)
    return path


def kill_with_log(daemon, megabytes: int) -> float:
    """Gives commands until the log has that size, and kills; the size then."""
    wal = daemon.state_dir / "kfops.db-wal"
    hook = kit.Hook(daemon)
    pr = 0
    while wal.stat().st_size < megabytes << 20:
        pr += 1
        hook.comment("/build_run\n/help", 1000 + pr)
    daemon.stop(kill=True)
    return wal.stat().st_size / (1 << 20)


def start(folder: pathlib.Path, rounds: int, count: int) -> None:
    found: dict[str, list[float]] = {}
    large = Scene(folder / "large", jobs(folder, count // 10, count - count // 10))
    daemon = large.daemon
    try:
        for _ in range(rounds):
            empty = Scene(folder / "empty")
            found.setdefault("no database yet", []).append(empty.daemon.start())
            empty.daemon.stop()
            found.setdefault("empty, stopped cleanly", []).append(empty.daemon.start())
            empty.daemon.stop(kill=True)
            empty.stub.stop()
            found.setdefault(f"{count:,} jobs, stopped cleanly", []).append(daemon.start())
            size = kill_with_log(daemon, 5)
            found.setdefault(f"{count:,} jobs, kill -9 with a log of 5 MB", []).append(daemon.start())
            size = kill_with_log(daemon, 64)
            found.setdefault(f"{count:,} jobs, kill -9 with a log of 64 MB", []).append(daemon.start())
            del size
            daemon.stop()
    finally:
        daemon.stop(kill=True)
        large.stub.stop()
    kit.table("start to listening, ms", "min", "median", "max", "aim")
    for name, values in found.items():
        kit.row(name, *(f"{v:.1f}" for v in (min(values), statistics.median(values), max(values))),
                "250" if "64" in name else "50")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--parked", type=int, default=100000)
    parser.add_argument("--jobs", type=int, default=1000000)
    parser.add_argument("--only", choices=("memory", "start"))
    args = parser.parse_args()
    folder = kit.bench_dir() / "memory"
    print(f"{kit.machine()}\n")
    if args.only != "start":
        memory(folder, args.parked)
    if args.only != "memory":
        start(folder, args.rounds, args.jobs)


if __name__ == "__main__":
    main()
