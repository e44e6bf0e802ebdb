"""What a /deploy costs: from the last gate passed to the first request that changes the cluster, and calls.

    deploy.py [--deployments 200] [--wait 60]

Each deployment is one of a new model beside one that serves, with percentages as Knative has them; the cluster of the
stub is ready at once. Times are taken at the stub: from the last byte of the last question to GitHub that a gate
asks, to the last byte of the patch that puts the new model at 0 %. In between kfops writes down what serves, tells
GitHub of the deployment, and tries the first and the last patch without effect.

Then one deployment whose model does not become ready is watched for some time, with the default settings: how often
each object of the cluster is looked at.

Two yardsticks are taken before each deployment, because they show what the machine was like at that moment: one write
of 12 KB with fdatasync in the database's folder, and one webhook that is answered without a commit.
"""

import argparse
import collections
import json
import os
import re
import time

import kit
import steps

SERVICES = "/apis/serving.kserve.io/v1beta1/namespaces/ml-prod/inferenceservices"
GAP = "10ms"  # between two writes to GitHub: with the default of a second it alone would be measured
GATES = re.compile(r"/(compare|rules|branches|pulls)/|/graphql$")
MORE = {
    "config_files/config.yaml": kit.SETTINGS + """\
deployment:
  inference_service_name: iris
  inference_service_function_path: serving/iris.yaml
  pre_deployment_test_sample_input_path: serving/sample.json
  production:
    namespace: ml-prod
""",
    "serving/iris.yaml": """\
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: iris
spec:
  predictor:
    model:
      modelFormat:
        name: sklearn
""",
    "serving/sample.json": '{"instances": [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]}\n',
}


class Bench:
    def __init__(self, folder):
        folder.mkdir(parents=True)
        self.repo = kit.Repository(folder, MORE)
        self.stub = kit.Stub(folder, self.repo.bare)
        self.daemon = kit.Daemon(folder, self.stub.url, changes=self.changes(folder))
        self.seen = 0

    def start(self) -> None:
        self.daemon.start()
        self.daemon.wait_greeted()
        self.hook = kit.Hook(self.daemon)
        self.hook.opened(self.repo.git("rev-parse", "HEAD"))

    def changes(self, folder) -> dict:
        """The operator's file with a cluster that serves: all of it is the stub."""
        url = self.stub.url
        for name in ("access", "secret-key"):
            (folder / name).write_text(name)
            (folder / name).chmod(0o600)
        (folder / "kubeconfig").write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "bench",
            "clusters": [{"name": "bench", "cluster": {"server": url}}], "users": [{"name": "bench", "user": {}}],
            "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}]}))
        (folder / "kubeconfig").chmod(0o600)
        cluster = {"name": "main", "kfp_url": url, "serving": True, "kubeconfig": str(folder / "kubeconfig"),
                   "serving_url": url, "mlmd_url": url, "s3_url": url, "s3_access_key_file": str(folder / "access"),
                   "s3_secret_key_file": str(folder / "secret-key")}
        return {"github": {"write_gap": GAP, "writes_per_minute": 10000, "writes_per_hour": 100000},
                "poll": {"deliveries_interval": "1d"}, "clusters": [cluster],
                "repositories": [{"match": "lab/*", "cluster": "main", "namespaces": ["team-a", "ml-prod"]}]}

    def give(self, command: str) -> list[dict]:
        """A command to its end; the requests until then."""
        self.hook.comment(command)

        def ended():
            records = self.stub.records(self.seen)
            over = any(r["method"] == "DELETE" and "/reactions/" in r["path"] for r in records)
            return records if over and time.monotonic_ns() - records[-1]["last_ns"] > 5e7 else None
        records = kit.wait_until(ended, f"the end of {command}", every=0.02)
        self.seen += len(records)
        return records

    def deploy(self) -> dict:
        """One deployment of a new run's model, in milliseconds and numbers of calls."""
        self.give("/build_run")
        asked, told = self.hook.send("star", {"action": "created"})
        synced = kit.sync_once(self.daemon.state_dir)
        records = self.give("/deploy")
        first = next(at for at, r in enumerate(records) if is_service(r) and r["method"] != "GET" and not r["dry"])
        gate = max(at for at, r in enumerate(records[:first]) if r["path"].startswith("/api/v3") and
                   r["method"] == "GET" and GATES.search(r["path"]))
        between = records[gate + 1:first]
        told_github = [r for r in between if r["path"].endswith("/deployments")]
        patch = records[first]["last_ns"]
        github = [r for r in records if r["path"].startswith("/api/v3")]
        return {"trip": (told - asked) / 1e6, "disk": synced, "patch": (patch - records[gate]["last_ns"]) / 1e6,
                "announced": (patch - told_github[-1]["last_ns"]) / 1e6 if told_github else None,
                "calls": len(between), "github": len(github),
                "writes": sum(r["method"] != "GET" for r in github), "records": records}

    def watch(self, seconds: float) -> list[dict]:
        """The looks at a service that does not become ready, until it does."""
        self.give("/build_run")
        self.stub.set(holds=True)
        self.hook.comment("/deploy")
        time.sleep(seconds)
        records = self.stub.records(self.seen)
        self.stub.set(holds=False)
        self.seen += len(records)
        kit.wait_until(lambda: any(r["method"] == "DELETE" for r in self.stub.records(self.seen)), "its end")
        first = next(at for at, r in enumerate(records) if is_service(r) and r["method"] != "GET" and not r["dry"])
        return [r for r in records[first:] if is_service(r)]

    def stop(self) -> None:
        self.daemon.stop()
        self.stub.stop()


def is_service(record: dict) -> bool:
    return record["path"].startswith(SERVICES)


def show_times(found: list[dict]) -> None:
    kit.table("milliseconds", "n", "min", "p50", "p90", "p99", "aim")
    for key, what, aim in (("trip", "yardstick: webhook without a commit", ""),
                           ("disk", "yardstick: write and fdatasync", ""),
                           ("patch", "last gate passed to first patch", "50 (p99)"),
                           ("announced", "of that after GitHub was told of the deployment", "")):
        values = [figures[key] for figures in found if figures[key] is not None]
        if values:
            kit.row(what, len(values), *(f"{v:.2f}" for v in (
                min(values), *(kit.percentile(values, share) for share in (0.5, 0.9, 0.99)))), aim)


def show_calls(found: list[dict]) -> None:
    last = found[-1]
    print(f"\nIn between {last['calls']} calls; to GitHub {last['github']} in all, {last['writes']} of them writes.\n")
    kit.table("call to GitHub of one /deploy", "times")
    github = [r for r in last["records"] if r["path"].startswith("/api/v3")]
    for call, count in sorted(collections.Counter(steps.kind_of(r) for r in github).items()):
        kit.row(f"`{call}`", count)


def show_looks(looks: list[dict], seconds: float) -> None:
    print(f"\nA model that is not ready, {seconds:g} s:\n")
    kit.table("looked at", "times", "shortest gap, s", "longest gap, s", "aim")
    for name in sorted({r["path"] for r in looks if r["method"] == "GET"}):
        at = [r["last_ns"] / 1e9 for r in looks if r["path"] == name and r["method"] == "GET"]
        gaps = [after - before for before, after in zip(at, at[1:])] or [0.0]
        kit.row(f"`{name.rpartition('/')[2]}`", len(at), f"{min(gaps):.2f}", f"{max(gaps):.2f}", "2 to 15 s apart")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deployments", type=int, default=200)
    parser.add_argument("--wait", type=float, default=60, help="seconds that a model is watched; 0: not at all")
    args = parser.parse_args()
    folder = kit.bench_dir() / "deploy"
    kit.remove(folder)
    bench = Bench(folder)
    try:
        bench.start()
        for _ in range(2):  # the first version; connections, mirror
            bench.give("/build_run")
            bench.give("/deploy")
        found = [bench.deploy() for _ in range(args.deployments)]
        looks = bench.watch(args.wait) if args.wait else []
    finally:
        bench.stop()
    print(f"{kit.machine()}; write_gap {GAP}; load {os.getloadavg()[0]:.1f}\n")
    show_times(found)
    show_calls(found)
    if looks:
        show_looks(looks, args.wait)


if __name__ == "__main__":
    main()
