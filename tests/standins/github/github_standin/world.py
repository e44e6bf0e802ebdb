"""State of the stand-in: plain records, and a world that finds them.

Nothing here knows HTTP, webhooks or git. Whoever reads or changes the world holds its lock.
"""

import base64
import random
import threading
from dataclasses import dataclass, field

ROLES = ("none", "read", "triage", "write", "maintain", "admin")
REACTIONS = ("+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes")
APP_PERMISSIONS = {"metadata": "read", "issues": "write", "pull_requests": "write", "contents": "write",
                   "checks": "write", "statuses": "write", "deployments": "write", "members": "read",
                   "actions": "read"}
APP_EVENTS = ["issue_comment", "pull_request", "pull_request_review", "push", "merge_group", "repository",
              "label", "meta", "check_run", "check_suite", "installation", "installation_repositories"]


@dataclass
class User:
    id: int
    login: str
    type: str = "User"
    name: str | None = None

    @property
    def node_id(self):
        return node_id({"User": "U", "Bot": "BOT", "Organization": "O"}.get(self.type, "U"), self.id)


@dataclass
class Reaction:
    id: int
    user: User
    content: str
    created: float

    @property
    def node_id(self):
        return node_id("REA", self.id)


@dataclass
class Comment:
    id: int
    repo_id: int
    number: int
    user: User | None
    body: str
    created: float
    updated: float
    app_id: int | None = None
    reactions: list = field(default_factory=list)
    minimized: str | None = None
    editor: User | None = None

    @property
    def node_id(self):
        return node_id("IC", self.id)


@dataclass
class Pull:
    id: int
    head_ref: str
    head_sha: str
    head_repo_id: int | None  # None: the fork is gone
    head_owner: User | None
    base_ref: str
    base_sha: str
    draft: bool = False
    merged_at: float | None = None
    merged_by: User | None = None
    merge_commit_sha: str | None = None
    mergeable: bool | None = None
    mergeable_reads: int = 1  # GETs that still see null
    history: list = field(default_factory=list)  # (time, head sha), oldest first
    closed_by_merge: bool = False
    maintainer_can_modify: bool = False  # whoever may push to the base may push to the branch of the fork


@dataclass
class Issue:
    id: int
    number: int
    title: str
    body: str | None
    user: User
    created: float
    updated: float
    state: str = "open"
    locked: bool = False
    lock_reason: str | None = None
    closed_at: float | None = None
    labels: list = field(default_factory=list)
    reactions: list = field(default_factory=list)
    comment_ids: list = field(default_factory=list)
    reviews: list = field(default_factory=list)
    timeline: list = field(default_factory=list)  # dictionaries with kind, at, ...
    threads: list = field(default_factory=list)  # of reviews: dictionaries with id, resolved
    removed_from_queue: dict | None = None  # the last time: reason, at
    base_changed_at: float | None = None
    pull: Pull | None = None

    @property
    def node_id(self):
        return node_id("PR" if self.pull else "I", self.id)


@dataclass
class Label:
    id: int
    name: str
    color: str
    description: str | None = None


@dataclass
class Review:
    id: int
    user: User
    state: str
    body: str
    commit_id: str
    submitted: float


@dataclass
class Repo:
    id: int
    owner: User
    name: str
    private: bool
    created: float
    pushed: float
    updated: float
    default_branch: str = "main"
    archived: bool = False
    fork_of: int | None = None
    roles: dict = field(default_factory=dict)  # user id -> (role name, base role)
    labels: dict = field(default_factory=dict)  # lower-case name -> Label
    issues: dict = field(default_factory=dict)  # number -> Issue
    statuses: dict = field(default_factory=dict)  # sha -> list of dictionaries, oldest first
    deployments: list = field(default_factory=list)  # dictionaries, oldest first
    rules: list = field(default_factory=list)  # of rulesets, of the default branch, as the API shows them
    branch_rules: list = field(default_factory=list)  # of all other branches
    protection: dict = field(default_factory=dict)  # classic, of the default branch: see rules.py
    code_owners: list = field(default_factory=list)  # logins
    protected_branches: list = field(default_factory=list)  # others than the default branch
    queue: list = field(default_factory=list)  # of merges: dictionaries, see merge_queue.py
    methods: dict = field(default_factory=lambda: {"merge": True, "squash": True, "rebase": False})
    next_number: int = 1

    @property
    def full_name(self):
        return f"{self.owner.login}/{self.name}"

    @property
    def node_id(self):
        return node_id("R", self.id)

    def pulls(self):
        return [issue for issue in self.issues.values() if issue.pull]


@dataclass
class CheckSuite:
    id: int
    repo_id: int
    head_sha: str
    head_branch: str | None
    app_id: int
    created: float
    updated: float
    before: str | None = None


@dataclass
class CheckRun:
    id: int
    repo_id: int
    suite_id: int
    app_id: int
    name: str
    head_sha: str
    external_id: str = ""
    details_url: str | None = None
    status: str = "queued"
    conclusion: str | None = None
    started: str | None = None
    completed: str | None = None
    output: dict = field(default_factory=dict)
    annotations: list = field(default_factory=list)
    actions: list = field(default_factory=list)
    updates: int = 0

    @property
    def node_id(self):
        return node_id("CR", self.id)


@dataclass
class Installation:
    id: int
    account: User
    repo_ids: set
    permissions: dict
    created: float
    updated: float
    suspended_at: float | None = None
    suspended_by: User | None = None


@dataclass
class App:
    id: int
    slug: str
    client_id: str
    owner: User
    bot: User
    created: float
    permissions: dict = field(default_factory=lambda: dict(APP_PERMISSIONS))
    events: list = field(default_factory=lambda: list(APP_EVENTS))


def node_id(prefix: str, number: int) -> str:
    text = base64.urlsafe_b64encode(number.to_bytes(8, "big")).decode().rstrip("=")
    return f"{prefix}_kwDO{text}"


class World:
    def __init__(self, clock, seed: int = 1):
        self.clock = clock
        self.lock = threading.RLock()
        self.dice = random.Random(seed)
        self.users: dict[int, User] = {}
        self.repos: dict[int, Repo] = {}
        self.comments: dict[int, Comment] = {}
        self.check_runs: dict[int, CheckRun] = {}
        self.suites: dict[int, CheckSuite] = {}
        self.deployments: dict[int, dict] = {}
        self.installations: dict[int, Installation] = {}
        self.teams: dict[tuple, dict] = {}  # (organisation, slug) -> login -> role
        self.parents: dict[tuple, str] = {}  # (organisation, slug) -> slug of the team above
        self.moved: dict[tuple, int] = {}  # former (owner, name) -> repository id
        self.app: App | None = None
        self.ids = {}

    def new_id(self, kind: str) -> int:
        """Rising ids with gaps. Comments and check runs are past 32 bits, as on github.com."""
        start = {"user": 1_000_000, "repo": 700_000_000, "issue": 2_400_000_000,
                 "comment": 4_420_000_000, "check_run": 52_300_000_000, "suite": 47_500_000_000,
                 "reaction": 310_000_000, "installation": 60_000_000, "label": 8_000_000_000,
                 "status": 39_000_000_000, "deployment": 2_800_000_000, "review": 3_100_000_000, "queue": 60_000_000, "thread": 90_000_000,
                 "delivery": 11_235_813_213_455, "pull": 2_100_000_000}[kind]
        self.ids[kind] = self.ids.get(kind, start) + self.dice.randint(1, 9)
        return self.ids[kind]

    def member(self, org: str, slug: str, login: str) -> str | None:
        """Role of a person in a team or in one below it."""
        org, slug, login = org.lower(), slug.lower(), login.lower()
        role = self.teams.get((org, slug), {}).get(login)
        if role:
            return role
        below = [name for (where, name), parent in self.parents.items() if (where, parent) == (org, slug)]
        return "member" if any(self.member(org, name, login) for name in below) else None

    # users

    def add_user(self, login: str, id: int | None = None, type: str = "User", name=None) -> User:
        user = User(id or self.new_id("user"), login, type, name)
        self.users[user.id] = user
        return user

    def user(self, login: str) -> User | None:
        for user in self.users.values():
            if user.login.lower() == login.lower():
                return user
        return None

    def need_user(self, login: str, type: str = "User") -> User:
        """The user of that login, made when there is none."""
        return self.user(login) or self.add_user(login, type=type)

    # repositories

    def repo(self, owner: str, name: str) -> Repo | None:
        for repo in self.repos.values():
            if repo.owner.login.lower() == owner.lower() and repo.name.lower() == name.lower():
                return repo
        return None

    def moved_repo(self, owner: str, name: str) -> Repo | None:
        return self.repos.get(self.moved.get((owner.lower(), name.lower()), 0))

    def role(self, repo: Repo, user: User) -> tuple[str, str]:
        """(role name, base role) of a user in a repository."""
        if user.id == repo.owner.id:
            return "admin", "admin"
        if user.id in repo.roles:
            return repo.roles[user.id]
        return ("none", "none") if repo.private else ("read", "read")

    def may(self, repo: Repo, user: User, need: str) -> bool:
        return ROLES.index(self.role(repo, user)[1]) >= ROLES.index(need)

    def issue_of(self, comment: Comment) -> Issue:
        return self.repos[comment.repo_id].issues[comment.number]

    def comments_of(self, issue: Issue) -> list[Comment]:
        return [self.comments[id] for id in issue.comment_ids if id in self.comments]

    def by_node_id(self, node: str):
        """Comment with that node id, or None."""
        for comment in self.comments.values():
            if comment.node_id == node:
                return comment
        return None

    def pull_by_node_id(self, node: str):
        """(repository, pull request) with that node id, or (None, None)."""
        for repo in self.repos.values():
            for issue in repo.pulls():
                if issue.node_id == node:
                    return repo, issue
        return None, None

    def checks_of(self, repo: Repo, sha: str) -> list[CheckRun]:
        return [run for run in self.check_runs.values() if run.repo_id == repo.id and run.head_sha == sha]

    def installation_of(self, repo: Repo) -> Installation | None:
        for installation in self.installations.values():
            if repo.id in installation.repo_ids:
                return installation
        return None
