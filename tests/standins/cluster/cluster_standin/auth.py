"""Who asks, and whether they may: bearer tokens, client certificates, RBAC.

Roles, ClusterRoles and their bindings are read from YAML files. Without any, the bot's service
account gets what the deployment guide asks for in each namespace: InferenceServices without delete
of others' kinds, pods, their logs, events. Everything that nobody granted is refused.
"""

import pathlib
import secrets
import threading

import yaml

BOT = "system:serviceaccount:kfops:kfops"
BUILT_IN = [
    {"apiGroups": ["serving.kserve.io"], "resources": ["inferenceservices"],
     "verbs": ["get", "list", "watch", "create", "patch", "delete"]},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]},
    {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["events"], "verbs": ["list"]}]
# What every authenticated user may: discovery and questions about himself.
FOR_ALL = {"selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews"}


class User:
    def __init__(self, name, groups):
        self.name = name
        self.groups = set(groups) | {"system:authenticated"}


def of_service_account(name):
    """A service account's user; its namespace is part of the name."""
    parts = name.split(":")
    groups = ["system:serviceaccounts"]
    if len(parts) == 4:
        groups.append("system:serviceaccounts:" + parts[2])
    return User(name, groups)


class Tokens:
    """Valid tokens; one that was replaced may live on for a while, then it is refused."""

    def __init__(self, clock, bot=BOT):
        self._clock = clock
        self._lock = threading.Lock()
        self._known = {}
        self.bot = bot
        self.current = self.rotate(0)

    def add(self, token, user):
        with self._lock:
            self._known[token] = (user, None)

    def rotate(self, keep_s):
        """A new token for the bot; the old one is good for `keep_s` seconds more."""
        token = "sa-" + secrets.token_urlsafe(600)
        with self._lock:
            ends = self._clock.now() + keep_s
            for old, (user, until) in list(self._known.items()):
                if user.name == self.bot and until is None:
                    self._known[old] = (user, ends)
            self._known[token] = (of_service_account(self.bot), None)
            self.current = token
        return token

    def find(self, token):
        """(user or None, was the token ever known?)."""
        with self._lock:
            user, until = self._known.get(token, (None, None))
            known = user is not None
            if until is not None and self._clock.now() >= until:
                user = None
            return user, known


class Rbac:
    def __init__(self, folder, namespaces, bot=BOT):
        self.rules = []  # (namespace or None for all, subjects, rule)
        documents = self._read(folder)
        roles = {(d["kind"], d["metadata"].get("namespace", ""), d["metadata"]["name"]): d
                 for d in documents if d.get("kind") in ("Role", "ClusterRole")}
        for document in documents:
            if document.get("kind") in ("RoleBinding", "ClusterRoleBinding"):
                self._bind(document, roles)
        if not self.rules:
            for namespace in namespaces:
                self.grant(namespace, bot, BUILT_IN)

    @staticmethod
    def _read(folder):
        documents = []
        for path in sorted(pathlib.Path(folder).glob("*.yaml")) if folder else []:
            with open(path, encoding="utf-8") as source:
                for document in yaml.safe_load_all(source):
                    if isinstance(document, dict):
                        documents += document.get("items", [document])
        return documents

    def _bind(self, binding, roles):
        namespace = binding["metadata"].get("namespace", "")
        reference = binding["roleRef"]
        key = (reference["kind"], namespace if reference["kind"] == "Role" else "",
               reference["name"])
        everywhere = binding["kind"] == "ClusterRoleBinding"
        subjects = set()
        for subject in binding.get("subjects", []):
            if subject["kind"] == "ServiceAccount":
                subjects.add(f"system:serviceaccount:{subject.get('namespace', namespace)}:"
                             f"{subject['name']}")
            else:
                subjects.add(subject["name"])
        for rule in roles.get(key, {}).get("rules", []):
            self.rules.append((None if everywhere else namespace, subjects, rule))

    def grant(self, namespace, user, rules):
        self.rules += [(namespace, {user}, rule) for rule in rules]

    def revoke(self, namespace, verb, resource):
        """Takes a verb on a resource away from all, in one namespace."""
        for place, _, rule in self.rules:
            if place == namespace and resource in rule.get("resources", []):
                rule["verbs"] = [v for v in rule["verbs"] if v != verb]

    def allows(self, user, verb, group, resource, namespace, name=""):
        if resource in FOR_ALL or "system:masters" in user.groups:
            return True
        names = {user.name} | user.groups
        for place, subjects, rule in self.rules:
            if place not in (None, namespace) or not names & subjects:
                continue
            only = rule.get("resourceNames")
            if _has(rule.get("verbs", []), verb) and _has(rule.get("apiGroups", []), group) and \
                    _has(rule.get("resources", []), resource) and (not only or name in only):
                return True
        return False


def _has(listed, wanted):
    return "*" in listed or wanted in listed
