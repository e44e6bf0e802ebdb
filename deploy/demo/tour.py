"""What people say in the demonstration, and waiting for the answers.

The tour: a pull request whose model goes to staging, then to production, and a second one whose model looks well in
its run and is useless behind an endpoint; it must not get any traffic.
"""
import json
import pathlib
import sys
import urllib.request

SAMPLE = pathlib.Path(__file__).resolve().parents[2] / "tests" / "standins" / "sample_repository"
PIPELINE = "my_pipeline/pipeline.py"
REPO = "acme/iris"
ENDS = {"rocket", "-1", "confused"}
PATIENCE_S = 300


class Talk:
    """The sample repository on the stand-in of GitHub: opening pull requests, commenting, looking."""

    def __init__(self, demo):
        self.demo = demo
        self.github = f"http://127.0.0.1:{demo.port_of('github')}"

    def call(self, url: str, data=None):
        body = None if data is None else json.dumps(data).encode()
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read()

    def post(self, path: str, **data) -> dict:
        return json.loads(self.call(f"{self.github}/_standin/{path}", data))

    def page(self, number: int) -> str:
        return f"{self.github}/{REPO}/pull/{number}"

    def opens(self, title: str, branch: str, body: str, files: dict) -> int:
        return self.post(f"repos/{REPO}/pulls", user="ann", title=title, branch=branch, body=body,
                         files=files)["number"]

    def look(self, number: int) -> dict:
        return json.loads(self.call(f"{self.github}/_standin/conversation/{REPO}/{number}.json"))

    def markdown(self, number: int) -> str:
        return self.call(f"{self.github}/_standin/conversation/{REPO}/{number}.md").decode()

    def violations(self) -> list[str]:
        """Requests of the bot that the real services would have refused."""
        found = []
        for name in ("github", "kubeflow", "cluster"):
            told = json.loads(self.call(f"http://127.0.0.1:{self.demo.port_of(name)}/_standin/violations"))
            found += [f"{name}: {item}" for item in (told["violations"] if isinstance(told, dict) else told)]
        return found

    def says(self, number: int, user: str, words: str) -> str:
        """Comments and waits for the end: the bot's last reaction, everything said."""
        made = self.post(f"repos/{REPO}/pulls/{number}/comments", user=user, body=words)
        print(f"demo: @{user} on #{number}: {words}", file=sys.stderr, flush=True)

        def ended():
            seen = self.look(number)
            mine = next(item for item in seen["comments"] if item["id"] == made["id"])
            final = ENDS & {each["content"] for each in mine["reactions"]}
            checks = any(check["status"] == "in_progress" for check in seen["checks"])
            return final.pop() if final and not checks else None
        return self.demo.wait_for(f"the end of {words}", ended, PATIENCE_S)

    def predicts(self, namespace: str) -> list:
        """What the model that has the traffic of an environment says of two flowers."""
        ports = json.loads((self.demo.folder / "cluster" / "ports.json").read_text())
        request = urllib.request.Request(
            f"http://127.0.0.1:{ports['ingress']}/v1/models/iris:predict",
            (SAMPLE / "test_deployment" / "input.json").read_bytes(),
            {"Host": f"iris.{namespace}.example.com", "Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())["predictions"]


def once(talk: Talk, command: str) -> int:
    """One command on the first pull request; its conversation."""
    end = talk.says(1, "ann", command)
    print(talk.markdown(1))
    return verdict(talk, [] if end == "rocket" else [f"{command} ended with {end}"])


def broken_pipeline() -> str:
    """The names of the flowers beside the classifier, in one dictionary: the pipeline's own evaluation knows that,
    a model server does not."""
    text = (SAMPLE / PIPELINE).read_text()
    for before, after in (
            ("joblib.dump(classifier, ",
             'joblib.dump({"classifier": classifier, "names": ["setosa", "versicolor", "virginica"]},\n                '),
            ('classifier = joblib.load(os.path.join(model.path, "model.joblib"))',
             'classifier = joblib.load(os.path.join(model.path, "model.joblib"))["classifier"]')):
        if before not in text:
            raise SystemExit(f"demo: the sample pipeline has changed: {before!r} is not in it")
        text = text.replace(before, after)
    return text


def tour(talk: Talk) -> int:
    """Both stories; says on stderr what did not end as it should."""
    faults = []

    def expect(what: str, seen, wanted):
        if seen != wanted:
            faults.append(f"{what}: {seen}, not {wanted}")

    for user, words in (("ann", "/build_run"), ("bob", "/staging_deploy"), ("bob", "/plan"), ("bob", "/deploy")):
        expect(f"{words} on #1", talk.says(1, user, words), "rocket")
    first = talk.look(1)
    expect("#1 is merged", first["merged"], True)
    expect("labels of #1", sorted(first["labels"]), ["Deployed-to-production", "Deployed-to-staging"])
    expect("production serves", talk.predicts("ml-prod"), [0, 2])

    second = talk.opens("Keep the names of the flowers", "flower-names", "So that nobody has to look them up.",
                        {PIPELINE: broken_pipeline()})
    expect("/build_run on #2", talk.says(second, "ann", "/build_run"), "rocket")
    expect("/deploy on #2", talk.says(second, "bob", "/deploy"), "-1")
    seen = talk.look(second)
    expect("#2 is merged", seen["merged"], False)
    expect("labels of #2", seen["labels"], [])
    expect("production still serves", talk.predicts("ml-prod"), [0, 2])
    print(talk.markdown(1))
    print(talk.markdown(second))
    return verdict(talk, faults)


def verdict(talk: Talk, faults: list[str]) -> int:
    faults = faults + [f"would have been refused: {item}" for item in talk.violations()]
    for fault in faults:
        print(f"demo: {fault}", file=sys.stderr)
    return 1 if faults else 0
