"""One server that is github.com, api.github.com and codeload at once, and the control interface.

    /api/v3/...  and  /repos, /app, /user ...   REST, in Enterprise's and in github.com's form
    /api/graphql and  /graphql                  GraphQL
    /{owner}/{repo}.git/...                     git over HTTP
    /_standin/...                               for tests
    everything else                             the pages people see

The credential's limits, waits and concurrency are watched around every API request; scripted faults meet
API and git requests, never the control interface or the pages.
"""

import functools
import json
import os
import pathlib
import random
import re
import threading

from standin_common.clock import Clock
from standin_common.description import Description
from standin_common.faults import FaultScript
from standin_common.http import FAULT_KINDS, Answer
from standin_common.record import Recorder

from . import control, graphql, rest, web
from . import ops_app, ops_checks, ops_deployments, ops_issues, ops_pulls, ops_repo  # noqa: F401 (they register routes)
from .actions import Actions
from .auth import ApiError, Tokens
from .gitstore import GitStore
from .hooks import WEBHOOK_FAULTS, Hook, Sender
from .limits import Limits
from .samples import BUILT_IN
from .views import Views
from .world import App, World

API_ROOTS = {"repos", "repositories", "app", "apps", "app-manifests", "applications", "installation",
             "orgs", "rate_limit", "meta", "zen", "user", "users", "search", "markdown"}
GIT = re.compile(r"^/([^/]+)/([^/]+?)(?:\.git)?/(info/refs|git-upload-pack|git-receive-pack)$")
ZEN = "Approachable is better than simple."


class Standin:
    def __init__(self, options):
        self.unreadable_fields: list = []  # that GraphQL refuses to the bot
        self.options = options
        self.clock = Clock()
        self.record = Recorder(self.clock)
        self.dice = random.Random(options.seed)
        self.faults = FaultScript({"request": FAULT_KINDS, "webhook": WEBHOOK_FAULTS})
        self.world = World(self.clock, options.seed)
        self.git = GitStore(str(pathlib.Path(options.state) / "git"))
        self.limits = Limits(self.clock, self.record)
        self.hooks = Sender(self.world, self.record, self.faults, self.clock)
        self.shared = find_shared()
        self.description = None
        self.samples = dict(BUILT_IN)
        self.check_answers = bool(options.check_answers)
        self._load_shared()
        key = pathlib.Path(options.app_key_file).read_bytes() if options.app_key_file else None
        self.tokens = Tokens(self.world, self.clock, key)
        self._count = 0
        self._git_lock = threading.Lock()
        self.views = None
        self.actions = None

    def _load_shared(self) -> None:
        if self.shared is None:
            return
        description = self.shared / "api.github.com.trimmed.json"
        if description.exists():
            self.description = _load_description(str(description))
        samples = self.shared / "errors.sample.json"
        if samples.exists():
            with open(samples, encoding="utf-8") as file:
                self.samples |= {item["name"]: item for item in json.load(file)["samples"]}

    def open(self, port: int) -> None:
        """Called once the port is known: makes addresses, the App, users and hooks."""
        web_base = f"http://127.0.0.1:{port}"
        self.views = Views(self.world, self.git, web_base, f"{web_base}/api/v3")
        self.actions = Actions(self.world, self.git, self.views, self.hooks, self.record, self.clock)
        options = self.options
        secret = b""
        if options.webhook_secret_file:
            secret = pathlib.Path(options.webhook_secret_file).read_bytes().strip()
        self.webhook_secret = secret
        if options.app_id:
            owner = self.world.add_user("kfops-makers", type="Organization")
            bot = self.world.add_user(f"{options.app_slug}[bot]", type="Bot")
            self.world.app = App(options.app_id, options.app_slug, f"Iv23li{options.app_id:014d}", owner,
                                 bot, self.clock.now())
        if options.token:
            user = self.world.need_user(options.token_user)
            self.tokens.add_user_token(options.token, user)
        if options.webhook_url:
            self.set_hook(options.webhook_url)

    def set_hook(self, url: str) -> None:
        """Where the App's events go; in token mode every repository gets a hook of its own."""
        if self.world.app:
            self.hooks.app_hook = Hook(480_000_001, "integration", self.world.app.id, url,
                                       self.webhook_secret)
        self.options.webhook_url = url
        for hook in self.hooks.repo_hooks.values():
            hook.url = url

    def hook_repo(self, repo) -> None:
        """A repository's own hook to the configured address."""
        hook = Hook(self.world.new_id("label"), "repository", repo.id, self.options.webhook_url,
                    self.webhook_secret)
        self.hooks.repo_hooks[hook.id] = hook

    def ping(self, hook, repo=None) -> None:
        app = self.world.app
        shown = {"type": "App" if hook.kind == "integration" else "Repository", "id": hook.id,
                 "name": "web", "active": True, "events": hook.events or ["*"],
                 "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
                 "config": {"content_type": hook.content_type, "insecure_ssl": "0", "url": hook.url,
                            "secret": "********"}}
        payload = {"zen": ZEN, "hook_id": hook.id, "hook": shown}
        if hook.kind == "integration":
            shown["app_id"] = app.id
        elif repo is not None:
            payload["repository"] = self.views.repo(repo)
            payload["sender"] = self.views.user(repo.owner)
        self.hooks.emit_to(hook, "ping", payload, repo)

    # what the HTTP server calls

    def exempt(self, request) -> bool:
        return not (self.api_path(request) is not None or GIT.match(request.path))

    def api_path(self, request) -> str | None:
        """What follows the base address of the API, or None for other requests."""
        path = request.path
        if path.startswith("/api/v3/") or path == "/api/v3":
            return path[len("/api/v3"):] or "/"
        if path in ("/api/graphql", "/graphql"):
            return "/graphql"
        return path if path.split("/")[1] in API_ROOTS else None

    def base_of(self, request) -> str:
        """Base address of the API as this request used it."""
        host = request.headers.get("Host") or self.views.web.removeprefix("http://")
        return f"http://{host}" + ("/api/v3" if request.path.startswith("/api/v3") else "")

    def begin(self, request) -> None:
        if self.api_path(request) is None:
            return
        key = self.tokens.key_of(request.headers.get("Authorization"))
        left = threading.Lock()

        def leave():
            if left.acquire(blocking=False):
                self.limits.leave(key)
        request.facts["key"] = key
        request.facts["on_abandon"] = leave
        self.limits.enter(key, request)
        self.limits.note_impatience(key, request)

    def end(self, request) -> None:
        if "on_abandon" in request.facts:
            request.facts["on_abandon"]()

    def answered(self, request, answer) -> None:
        path = self.api_path(request)
        if path is None:
            return
        self.limits.observe(request.facts["key"], answer)
        self.record.request(method=request.method, path=request.path, query=request.query_text,
                            status=answer.status, key=request.facts["key"],
                            route=request.facts.get("route"),
                            fault=request.fault.kind if request.fault else None)

    def sample(self, fault) -> Answer:
        """A named answer of errors.sample.json; `headers` of the fault win, times are made current."""
        sample = self.samples.get(fault.get("name"))
        if sample is None:
            self.record.gap(f"no sample named {fault.get('name')!r} (KFOPS_SHARED not set?)")
            return Answer.json({"message": "no such sample"}, 500)
        headers = dict(sample["headers"])
        if "x-ratelimit-reset" in headers:
            headers["x-ratelimit-reset"] = str(int(self.clock.now() + fault.get("reset_in", 60)))
        headers.update(fault.get("headers", {}))
        if isinstance(sample["body"], str):
            body = sample["body"].encode()
        else:
            body = json.dumps(sample["body"]).encode()
        return Answer(sample["status"], body, headers)

    def handle(self, request) -> Answer:
        path = self.api_path(request)
        if path == "/graphql":
            return graphql.handle(self, request)
        if path is not None:
            return rest.handle(self, request, path)
        if request.path.startswith("/_standin/"):
            return control.handle(self, request)
        git = GIT.match(request.path)
        if git:
            return self._git(request, *git.groups())
        return web.handle(self, request)

    def request_id(self) -> str:
        self._count += 1
        return f"A1B2:{self._count:06X}:{self.dice.getrandbits(24):06X}:{self.dice.getrandbits(32):08X}"

    # git over HTTP

    def _git(self, request, owner, name, rest_path) -> Answer:
        service = request.arg("service") or rest_path
        is_write = service == "git-receive-pack"
        with self.world.lock:
            repo = self.world.repo(owner, name) or self.world.moved_repo(owner, name)
            try:
                credential = self.tokens.credential(request.headers.get("Authorization"))
            except ApiError as error:
                return _git_error(401 if error.status == 401 else 403, error.body["message"])
            if repo is None or not rest._sees(self, credential, repo):
                if credential.kind == "anonymous":
                    return _git_error(401, "Authentication required.")
                return _git_error(404, "Repository not found.")
            if not self._may_git(credential, repo, is_write):
                return _git_error(403, f"Write access to repository not granted."
                                  if is_write else "Read access to repository not granted.")
            if repo.name.lower() != name.lower():
                target = f"/{repo.full_name}.git/{rest_path}"
                target += f"?{request.query_text}" if request.query_text else ""
                return Answer(301, b"", {"Location": self.views.web + target})
        self.record.request(method=request.method, path=request.path, query=request.query_text,
                            status=200, key=credential.key, route="git " + service, fault=None)
        if rest_path != "git-receive-pack":
            return self.git.http_backend(repo.id, rest_path, request, "")
        return self._receive(request, repo, rest_path, credential)

    def _may_git(self, credential, repo, is_write) -> bool:
        if credential.kind == "installation":
            return credential.has({"contents": "write" if is_write else "read"})
        if credential.kind == "user":
            return self.world.may(repo, credential.actor, "write" if is_write else "read")
        return not is_write

    def _receive(self, request, repo, rest_path, credential) -> Answer:
        """A push: afterwards everything hears of the branches that moved."""
        with self._git_lock:
            before = self.git.refs(repo.id)
            answer = self.git.http_backend(repo.id, rest_path, request, credential.actor.login)
            after = self.git.refs(repo.id)
        with self.world.lock:
            for ref in sorted(set(before) | set(after)):
                if before.get(ref) != after.get(ref):
                    self.actions.branch_moved(repo, ref, before.get(ref), after.get(ref),
                                              credential.actor)
        return answer


@functools.cache
def _load_description(path: str) -> Description:
    return Description.load(path)


def _git_error(status: int, text: str) -> Answer:
    answer = Answer.text(text + "\n", status)
    if status == 401:
        answer.headers["WWW-Authenticate"] = 'Basic realm="GitHub"'
    return answer


def find_shared() -> pathlib.Path | None:
    """The folder with GitHub's description, or None: KFOPS_SHARED, or `shared` beside the project."""
    named = os.environ.get("KFOPS_SHARED")
    root = pathlib.Path(named) if named else pathlib.Path(__file__).resolve().parents[5] / "shared"
    folder = root / "github"
    return folder if folder.is_dir() else None
