"""Who may: bearer tokens with audiences, and namespaces, as in a multi-user installation.

The token file is JSON: {token: {"user": ..., "audiences": [...], "namespaces": [...] or absent}}.
It is read again when it changes. Without a file nobody is asked, as in a standalone installation.
"""

import json
import os

from .errors import permission_denied, unauthenticated

AUDIENCE = "pipelines.kubeflow.org"


class Auth:
    def __init__(self, path=None, multi_user=False, namespaces=None):
        self.path = path
        self.multi_user = multi_user
        self.namespaces = set(namespaces or [])
        self._stamp = None
        self._tokens = {}

    def tokens(self):
        stamp = os.stat(self.path)
        if self._stamp != (stamp.st_mtime_ns, stamp.st_size):
            with open(self.path, encoding="utf-8") as source:
                self._tokens = json.load(source)
            self._stamp = (stamp.st_mtime_ns, stamp.st_size)
        return self._tokens

    def user(self, headers):
        """The token's entry; raises UNAUTHENTICATED. None when nobody is asked."""
        if not self.path:
            return None
        header = headers.get("Authorization", "")
        if not header.startswith("Bearer "):
            raise unauthenticated("there is no user identity header.",
                                  "Request header error: there is no user identity header.")
        entry = self.tokens().get(header[len("Bearer "):].strip())
        if entry is None:
            raise unauthenticated(
                "Failed to authenticate token review",
                "Review.Status.Authenticated is false. Error [invalid bearer token]")
        if set(entry.get("audiences", [AUDIENCE])) != {AUDIENCE}:
            raise unauthenticated(
                "Failed to authenticate token review",
                f"Failed to find all of '[{AUDIENCE}]' in audience: {entry['audiences']}")
        return entry

    def check(self, user, namespace, verb, resource):
        """A SubjectAccessReview; single-user installations allow everything."""
        if not self.multi_user:
            return
        allowed = (user or {}).get("namespaces")
        there = not self.namespaces or namespace in self.namespaces
        if there and (allowed is None or namespace in allowed):
            return
        name = (user or {}).get("user", "anonymous")
        text = (f"User '{name}' is not authorized with reason:  (request: &ResourceAttributes{{"
                f"Namespace:{namespace},Verb:{verb},Group:pipelines.kubeflow.org,Version:v1beta1,"
                f"Resource:{resource},Subresource:,Name:,}})")
        raise permission_denied("Unauthorized access", text)
