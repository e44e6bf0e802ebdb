"""Runs every fuzz target of a build for some seconds and writes a JUnit file. The seed is printed; it is that of the
day, so that what is found can be found again, and every day looks elsewhere."""
import argparse
import concurrent.futures
import datetime
import pathlib
import subprocess
import tempfile
from xml.sax.saxutils import escape


def run(target: pathlib.Path, seconds: int, seed: int) -> tuple[str, int, str]:
    with tempfile.TemporaryDirectory() as scratch:
        corpus = pathlib.Path(scratch) / "corpus"
        corpus.mkdir()
        seeds = pathlib.Path(__file__).parent / "seeds" / target.name
        command = [str(target), f"-seed={seed}", f"-max_total_time={seconds}", "-timeout=25", "-rss_limit_mb=2048",
                   "-max_len=65536", f"-artifact_prefix={scratch}/", str(corpus)]
        if seeds.is_dir():
            command.append(str(seeds))
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace", timeout=seconds * 3 + 120)
        return target.name, done.returncode, done.stdout[-6000:]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--wall", type=int, default=0, help="seconds for all together; 0: as long as it takes")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=int(datetime.datetime.now(datetime.UTC).strftime("%Y%m%d")))
    parser.add_argument("--junitxml", required=True)
    options = parser.parse_args()
    targets = sorted(p for p in pathlib.Path(options.build, "tests").glob("fuzz_*")
                     if p.is_file() and p.stat().st_mode & 0o111)
    seconds = options.seconds
    if options.wall and targets:
        seconds = max(5, min(seconds, options.wall * options.jobs // len(targets)))
    print(f"{len(targets)} targets, {seconds} s each, seed {options.seed}")
    cases, failed = [], 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for name, code, tail in pool.map(lambda t: run(t, seconds, options.seed), targets):
            print(f"{name}: {'ok' if code == 0 else 'FAILED'}")
            inner = ""
            if code:
                failed += 1
                print(tail)
                inner = f"<failure>{escape(tail)}</failure>"
            cases.append(f'<testcase classname="fuzz" name="{name}">{inner}</testcase>')
    pathlib.Path(options.junitxml).write_text(f"<testsuite>{''.join(cases)}</testsuite>", "utf-8")
    return 1 if failed or not targets else 0


if __name__ == "__main__":
    raise SystemExit(main())
