"""Webhooks to disk: requests a second, latency, CPU and bytes written per request, against other servers.

    ingest.py [--rounds 3] [--seconds 2] [--connections 1,16,64,256] [--modes keep,close] [--rates 200,1000]
              [--irrelevant] [--server 'NAME=COMMAND with {PORT} and {DB}']... [--base NAME] [--only NAME,...]

Every webhook is a signed 13 KB comment with a command that has not been seen before, so each is stored; with
--irrelevant also events that are answered without a write. "receive" is the receiving half of the daemon
(bench_ingest_server), built by this script's caller: `ninja bench_ingest_server bench_load`. Servers are
started afresh each round, in rotating order; on a machine of two cores or more the server has core 0 and the
load core 1. Any server that takes webhooks at / under the secret "benchsecret" can stand beside it. CPU is the
threads' own time on the core, so it says more than the rate when the machine has other things to do.

KFOPS_BUILD names the build folder (default: build/release, build); KFOPS_BENCH_DIR a folder on a real disk.
"""

import argparse
import json
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
START_S, WARM_S = 30.0, 0.4


def tools() -> pathlib.Path:
    named = os.environ.get("KFOPS_BUILD")
    folders = [pathlib.Path(named)] if named else [ROOT / "build" / "release", ROOT / "build"]
    for folder in folders:
        for place in (folder / "tests", folder):
            if (place / "bench_load").exists():
                return place
    sys.exit("no bench_load: ninja bench_ingest_server bench_load, or set KFOPS_BUILD")


def pinned(cpu: int):
    return lambda: os.sched_setaffinity(0, {cpu % os.cpu_count()})


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    def __init__(self, command: str, folder: pathlib.Path):
        self.port = free_port()
        words = [word.replace("{PORT}", str(self.port)).replace("{DB}", str(folder / "bench.db"))
                 for word in command.split()]
        began = time.monotonic()
        self.process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        preexec_fn=pinned(0))
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
                break
            except ConnectionRefusedError:
                if self.process.poll() is not None or time.monotonic() - began > START_S:
                    raise RuntimeError(f"did not start: {command}") from None
                time.sleep(0.002)
        self.start_ms = (time.monotonic() - began) * 1e3

    def cpu_us(self) -> float:
        """Of all threads, to the nanosecond; /proc/PID/stat counts in ticks of 10 ms."""
        total = 0
        for task in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0])
        return total / 1e3

    def written(self) -> int:
        for line in pathlib.Path(f"/proc/{self.process.pid}/io").read_text().splitlines():
            if line.startswith("write_bytes"):
                return int(line.split()[1])
        return 0

    def memory_kib(self, name: str) -> int:
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1])
        return 0

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


def load(server: Server, seconds: float, *extra: str) -> dict:
    words = [str(tools() / "bench_load"), "--port", str(server.port), "--path", "/", "--seconds", str(seconds),
             "--warm", str(WARM_S), *extra]
    cpu, written = server.cpu_us(), server.written()
    found = json.loads(subprocess.run(words, check=True, capture_output=True, text=True,
                                      preexec_fn=pinned(1)).stdout)
    count = max(found["all"], 1)
    found["cpu_us"] = (server.cpu_us() - cpu) / count
    found["kib"] = (server.written() - written) / 1024 / count
    found["failed"] = found["refused"] + found["broken"]
    return found


def cells(options) -> list[tuple[str, list[str]]]:
    found = []
    for mode in options.modes.split(","):
        for count in options.connections.split(","):
            found.append((f"{mode} {count}",
                          ["--connections", count] + (["--close"] if mode == "close" else [])))
    for rate in filter(None, options.rates.split(",")):
        found.append((f"rate {rate}", ["--connections", "64", "--rate", rate]))
    if options.irrelevant:
        found.append(("irrelevant 64", ["--connections", "64", "--event", "irrelevant"]))
    return found


def measure(options, servers: dict[str, str], folder: pathlib.Path) -> tuple[dict, dict]:
    results, starts = {}, {}
    names = list(servers)
    for turn in range(options.rounds):
        for name in names[turn % len(names):] + names[:turn % len(names)]:
            for old in folder.glob("bench.db*"):
                old.unlink()
            server = Server(servers[name], folder)
            time.sleep(0.5)
            idle = server.memory_kib("VmRSS")
            load(server, 0.5, "--connections", "16")
            for cell, extra in cells(options):
                results.setdefault((cell, name), []).append(load(server, options.seconds, *extra))
            starts.setdefault(name, []).append((server.start_ms, idle, server.memory_kib("VmHWM")))
            server.stop()
            print(f"round {turn + 1}: {name} done", file=sys.stderr)
    return results, starts


def report(options, servers: dict[str, str], results: dict, starts: dict) -> None:
    def middle(cell, name, key):
        return statistics.median(found[key] for found in results[cell, name])

    base = options.base or list(servers)[0]
    print(f"\n| load | server | requests/s | min..max | x {base} | p50 ms | p99 ms | CPU us | KiB | failed |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for cell, _ in cells(options):
        for name in servers:
            rates = [found["rps"] for found in results[cell, name]]
            print(f"| {cell} | {name} | {middle(cell, name, 'rps'):.0f} | {min(rates):.0f}..{max(rates):.0f} "
                  f"| {middle(cell, name, 'rps') / max(middle(cell, base, 'rps'), 1e-9):.2f} "
                  f"| {middle(cell, name, 'p50_us') / 1e3:.2f} | {middle(cell, name, 'p99_us') / 1e3:.2f} "
                  f"| {middle(cell, name, 'cpu_us'):.0f} | {middle(cell, name, 'kib'):.1f} "
                  f"| {sum(found['failed'] for found in results[cell, name])} |")
    print("\n| server | start ms | idle MiB | peak MiB |\n|---|---|---|---|")
    for name, rows in starts.items():
        start, idle, peak = (statistics.median(column) for column in zip(*rows))
        print(f"| {name} | {start:.0f} | {idle / 1024:.1f} | {peak / 1024:.1f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--connections", default="1,16,64,256")
    parser.add_argument("--modes", default="keep,close")
    parser.add_argument("--rates", default="200,1000")
    parser.add_argument("--irrelevant", action="store_true")
    parser.add_argument("--server", action="append", default=[])
    parser.add_argument("--base")
    parser.add_argument("--only")
    options = parser.parse_args()
    servers = {"receive": f"{tools() / 'bench_ingest_server'} {{PORT}} {{DB}} benchsecret /"}
    servers.update(server.split("=", 1) for server in options.server)
    if options.only:
        servers = {name: servers[name] for name in options.only.split(",")}
    named = os.environ.get("KFOPS_BENCH_DIR")
    folder = pathlib.Path(named) if named else pathlib.Path(tempfile.mkdtemp(prefix="kfops-bench-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        report(options, servers, *measure(options, servers, folder))
    finally:
        if not named:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
