"""Resident memory at rest, and the time from start to listening.

    memory.py [--rounds 10] [--parked 100000] [--jobs 1000000] [--only memory|start]

Memory is read from /proc/PID/status when the far sides have been asked and nothing has happened for three seconds: plain http, https with the system's certificates, after twenty commands, and with many parked jobs. A third reading
after the name of the case comes from smaps_rollup: what is this process's alone (Private_*), without the pages of
libraries that it shares. Start is from fork to the first accepted connection, in turns: no database, one with many
jobs stopped cleanly, and the same killed with -9 under load with a log of 5 MB. --version shows what of that is
loading the libraries.
"""

import argparse
import pathlib
import shutil
import statistics
import time

import kit

REST_S = 3.0
LOG_MB = 5


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
    """Commands until the log has grown to that size, then kill -9; the size in MB."""
    wal = daemon.state_dir / "kfops.db-wal"
    hook = kit.Hook(daemon)
    pr = 0
    while wal.stat().st_size < megabytes << 20 and pr < 20000:
        pr += 1
        hook.comment("/build_run", 1000 + pr)
    daemon.stop(kill=True)
    return wal.stat().st_size / (1 << 20)


def start(folder: pathlib.Path, rounds: int, count: int) -> None:
    """The far sides cannot be reached here: nothing but starting is to be seen."""
    nowhere = f"http://127.0.0.1:{kit.free_port()}"
    database = jobs(folder, count // 10, count - count // 10)
    kit.remove(folder)
    found: dict[str, list[float]] = {}
    used: dict[str, list[float]] = {}
    for name in ("empty", "large"):
        (folder / name / "state").mkdir(parents=True, mode=0o700)
    shutil.copy(database, folder / "large" / "state" / "kfops.db")
    large = kit.Daemon(folder / "large", nowhere)
    sizes = []
    try:
        for _ in range(rounds):
            empty = kit.Daemon(folder / "empty", nowhere)
            found.setdefault("yardstick: kfopsd --version", []).append(empty.version())
            for name in ("no database yet", "empty, stopped cleanly"):
                found.setdefault(name, []).append(empty.start())
                used.setdefault(name, []).append(empty.cpu_ms())
                empty.stop()
            kit.remove(empty.state_dir)
            for name in (f"{count:,} jobs, stopped cleanly", f"{count:,} jobs, kill -9"):
                found.setdefault(name, []).append(large.start())
                used.setdefault(name, []).append(large.cpu_ms())
                if "kill" in name:
                    large.stop()
                else:
                    sizes.append(kill_with_log(large, LOG_MB))
    finally:
        large.stop(kill=True)
    kit.table("start to listening, ms", "min", "median", "max", "processor time, median", "aim")
    for name, values in found.items():
        kit.row(name, *(f"{v:.1f}" for v in (min(values), statistics.median(values), max(values))),
                f"{statistics.median(used[name]):.1f}" if name in used else "", "50" if name in used else "")
    print(f"\nThe log at kill -9 had {min(sizes):.1f} to {max(sizes):.1f} MB.")


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
