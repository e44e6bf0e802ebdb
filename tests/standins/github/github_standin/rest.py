"""The way of one REST request: headers, credential, limits, route, description, permission, operation,
and then paging, ETag, limits' headers and compression on the way out.

Operations register themselves with @route and get a Context. They return (status, value), (status, value,
headers), an Answer, or raise ApiError. Everything that GitHub would refuse, or that its description does
not know, is noted as a violation whether or not it is also refused.
"""

import hashlib
import json
import re
import urllib.parse

from standin_common.clock import http_date
from standin_common.http import Answer, chunk, compress

from .auth import ApiError, Credential, parse_permissions
from .gitstore import GitError

ROUTES: list = []
WIDE = {"path", "ref", "branch", "basehead", "sha", "tree_sha"}
VERSIONS = ("2022-11-28", "2026-03-10")
PER_PAGE_MAX = 100
FORBIDDEN = "Resource not accessible by integration"
# Where GitHub does otherwise than its own description says.
DISAGREEMENTS = ("head.repo: null is not an object", ".description: null is not a string")
NO_AGENT = ("\r\nRequest forbidden by administrative rules. Please make sure your request has a "
            "User-Agent header (https://docs.github.com/en/rest/overview/resources-in-the-rest-api"
            "#user-agent-required). Check https://developer.github.com for other possible causes.\r\n")


class Route:
    def __init__(self, method, template, function, perms, auth, content, need, resource):
        self.method = method
        self.template = template
        self.name = f"{method} {template}"
        self.function = function
        self.perms = perms
        self.alternatives = parse_permissions(perms)
        self.auth = auth  # "jwt", "token", "installation", "user", "none"
        self.content = content
        self.need = need  # level that a user's token needs; None: from the permission
        self.resource = resource
        pattern = ""
        for piece in re.split(r"(\{[^}]*\})", template):
            name = piece[1:-1]
            if not piece.startswith("{"):
                pattern += re.escape(piece)
            elif name in WIDE:
                pattern += f"(?P<{name}>.+?)"
            else:
                pattern += f"(?P<{name}>[^/]+)"
        self.pattern = re.compile(pattern + r"\Z")
        self.weight = len(re.sub(r"\{[^}]*\}", "", template))


def route(method, template, perms="", auth="token", content=False, need=None, resource="core"):
    """Registers an operation. perms: "issues:write|pull_requests:write", as in GitHub's table."""
    def register(function):
        ROUTES.append(Route(method, template, function, perms, auth, content, need, resource))
        ROUTES.sort(key=lambda item: -item.weight)
        return function
    return register


class Context:
    """What an operation is given."""

    def __init__(self, app, request, credential, params, body):
        self.app = app
        self.world = app.world
        self.git = app.git
        self.act = app.actions
        self.views = app.views
        self.clock = app.clock
        self.request = request
        self.credential: Credential = credential
        self.actor = credential.actor
        self.params = params
        self.body = body
        self.repo = None
        self.links: dict = {}
        self.last_modified = None

    def arg(self, name, default=None):
        return self.request.arg(name, default)

    def number(self, name: str) -> int:
        """A numeric path parameter; 404 when it is none."""
        if not self.params[name].isdigit():
            raise ApiError(404, "Not Found")
        return int(self.params[name])

    @property
    def stale_s(self) -> float:
        """How old the data is that this request sees (fault stale_read)."""
        fault = self.request.fault
        return float(fault.get("seconds", 2)) if fault and fault.kind == "stale_read" else 0.0

    def seen(self, created: float) -> bool:
        return not self.stale_s or created <= self.clock.now() - self.stale_s

    def issue(self, name="issue_number", want_pull=False):
        issue = self.repo.issues.get(self.number(name))
        if issue is None or (want_pull and not issue.pull) or not self.seen(issue.created):
            raise ApiError(404, "Not Found")
        return issue

    def commit(self, sha: str) -> str:
        """422 when the commit is not there."""
        if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", sha or "") or \
           not self.git.has_commit(self.repo.id, sha):
            raise ApiError(422, f"No commit found for SHA: {sha}")
        return sha

    def resolve(self, ref: str) -> str:
        """A branch, tag or SHA to a SHA; 404 or 422."""
        ref = urllib.parse.unquote(ref)
        for full in (f"refs/heads/{ref}", f"refs/tags/{ref}", f"refs/{ref}"):
            sha = self.git.head(self.repo.id, full)
            if sha:
                return sha
        if re.fullmatch(r"[0-9a-f]{7,64}", ref):
            sha = self.git.head(self.repo.id, ref)
            if sha:
                return sha
        raise ApiError(422, f"No commit found for SHA: {ref}")

    def page(self, items: list, show, wrap: str | None = None):
        """One page of a list with its Link header; `wrap` names the list inside an object with
        total_count."""
        per_page = self.per_page()
        page = self._positive("page", 1)
        last = max(1, -(-len(items) // per_page))
        shown = [show(item) for item in items[(page - 1) * per_page:page * per_page]]
        if page < last:
            self.links["next"] = self._page_url(page + 1)
            self.links["last"] = self._page_url(last)
        if page > 1:
            self.links["prev"] = self._page_url(min(page - 1, last))
            self.links["first"] = self._page_url(1)
        return 200, ({"total_count": len(items), wrap: shown} if wrap else shown)

    def per_page(self) -> int:
        """What was asked for, silently cut at 100 as GitHub does; but nobody should ask for more."""
        asked = self._positive("per_page", 30)
        if asked > PER_PAGE_MAX:
            self.app.record.violation("per_page", f"per_page={asked} is more than 100", self.request)
        return min(asked, PER_PAGE_MAX)

    def _positive(self, name, default) -> int:
        text = self.arg(name)
        return int(text) if text and text.isdigit() and int(text) > 0 else default

    def _page_url(self, page: int) -> str:
        query = dict(urllib.parse.parse_qsl(self.request.query_text))
        query["page"] = str(page)
        return self.canonical() + "?" + urllib.parse.urlencode(query)

    def canonical(self) -> str:
        """The address by repository number, as GitHub's Link headers have it."""
        path = self.request.facts["api_path"]
        if self.repo is not None:
            rest = path.split("/", 4)[4:] if path.startswith("/repos/") else path.split("/", 3)[3:]
            path = f"/repositories/{self.repo.id}" + ("/" + rest[0] if rest else "")
        return self.app.base_of(self.request) + path


def handle(app, request, path: str) -> Answer:
    """One REST request; `path` is what follows the base address, still encoded."""
    request.facts["api_path"] = path
    request.facts["resource"] = "core"
    try:
        answer = _handle(app, request, path)
    except HtmlError as error:
        answer = Answer.text(error.text, error.status, "text/html; charset=utf-8")
    except ApiError as error:
        if error.status == 422 and _is_refusal(error.body):
            app.record.violation("refused", json.dumps(error.body)[:300], request)
        answer = Answer.json(error.body, error.status, error.headers)
    except (ValueError, GitError) as error:
        app.record.gap(f"internal fault: {request.method} {path}: {error!r}")
        answer = Answer.json({"message": "Server Error"}, 500)
    return _finish(app, request, answer)


def _is_refusal(body) -> bool:
    """Is this 422 about the request itself, and not about a state that others may have made?"""
    codes = {error.get("code") for error in body.get("errors", []) if isinstance(error, dict)}
    return body["message"].startswith("Invalid request") or \
        (body["message"] == "Validation Failed" and "already_exists" not in codes)


def _handle(app, request, path):
    _check_headers(app, request)
    if path.endswith("/") and path != "/":
        app.record.violation("trailing_slash", path, request)
        raise ApiError(404, "Not Found")
    with app.world.lock:
        credential = app.tokens.credential(request.headers.get("Authorization"))
        request.facts["key"] = credential.key
        app.limits.check_wait(credential.key)
        if credential.kind == "installation":
            request.facts["installation"] = credential.installation.id
        path = _by_name(app, path)
        found, params = find(app, request, path)
        request.facts["route"] = found.name
        request.facts["resource"] = found.resource
        body = _read_body(app, request, found)
        _check_description(app, request, found, params, body)
        context = Context(app, request, credential, {k: urllib.parse.unquote(v)
                                                     for k, v in params.items()}, body)
        is_content = found.content and request.method != "DELETE"
        app.limits.count(credential.key, found.resource, request.method, is_content, request)
        _check_credential(found, credential)
        _find_repo(app, context, params, path)
        _check_rights(found, context)
        return _answer(context, found, found.function(context))


def _check_headers(app, request):
    headers, record = request.headers, app.record
    if not headers.get("User-Agent"):
        record.violation("no_user_agent", "User-Agent is missing", request)
        raise HtmlError(403, NO_AGENT)
    accept = headers.get("Accept", "")
    if "application/vnd.github" not in accept and "application/json" not in accept:
        record.violation("accept", f"Accept is '{accept}'", request)
    version = headers.get("X-GitHub-Api-Version")
    if version is None:
        record.violation("api_version", "X-GitHub-Api-Version is missing", request)
    elif version not in VERSIONS:
        record.violation("api_version", f"X-GitHub-Api-Version is '{version}'", request)
        raise ApiError(400, "The specified API version is not supported")


class HtmlError(ApiError):
    """An answer that is not JSON."""

    def __init__(self, status, text):
        super().__init__(status, text)
        self.text = text


def _by_name(app, path):
    """/repositories/{id}/... to /repos/owner/name/..."""
    parts = path.split("/", 3)
    if len(parts) < 3 or parts[1] != "repositories":
        return path
    repo = app.world.repos.get(int(parts[2])) if parts[2].isdigit() else None
    if repo is None:
        raise ApiError(404, "Not Found")
    return f"/repos/{repo.full_name}" + ("/" + parts[3] if len(parts) > 3 else "")


def find(app, request, path):
    """The route and its raw parameters; 404, or 501 for what the stand-in does not have."""
    others = []
    for candidate in ROUTES:
        found = candidate.pattern.match(path)
        if found and candidate.method == request.method:
            _note_slash(app, request, candidate, found.groupdict())
            return candidate, found.groupdict()
        if found:
            others.append(candidate.method)
    if app.description:
        operation, detail = app.description.match(request.method, path)
        if operation:
            app.record.gap(f"not in this stand-in: {operation.name}")
            raise ApiError(501, f"The stand-in does not have {operation.name}")
        others = others or detail
    kind = "method" if others else "path"
    app.record.violation(f"unknown_{kind}", f"{request.method} {path}", request)
    raise ApiError(404, "Not Found")


def _note_slash(app, request, candidate, params):
    """Branch names go encoded; only git/ref/... takes them raw."""
    for name in ("branch", "ref"):
        if "/" in params.get(name, "") and "/git/" not in candidate.template:
            app.record.violation("slash", f"unencoded slash in {{{name}}}", request)


def _read_body(app, request, found):
    if not request.body:
        return {}
    kind = request.headers.get("Content-Type", "").split(";")[0].strip()
    if kind != "application/json":
        app.record.violation("content_type", f"Content-Type is '{kind}'", request)
    try:
        body = json.loads(request.body)
    except ValueError:
        app.record.violation("bad_json", "the body is not JSON", request)
        raise ApiError(400, "Problems parsing JSON") from None
    if not isinstance(body, dict):
        app.record.violation("bad_json", "the body is not an object", request)
        raise ApiError(400, "Body should be a JSON object")
    return body


def _check_description(app, request, found, params, body):
    if app.description is None:
        return
    operation = app.description.by_name.get(found.name)
    if operation is None:
        return
    values = {name: urllib.parse.unquote(value) for name, value in params.items()}
    faults = app.description.check_request(operation, values, request.query, body,
                                           has_body=bool(request.body))
    for fault in faults:
        app.record.violation("description", fault, request)
    hard = [fault for fault in faults if "unknown" not in fault and "query key" not in fault]
    if hard and request.body:
        raise ApiError(422, f"Invalid request.\n\n{hard[0]}.")


def _check_credential(found, credential):
    kind = credential.kind
    if found.auth == "none":
        return
    if kind == "anonymous":
        raise ApiError(401, "Requires authentication")
    if found.auth == "jwt" and kind != "jwt":
        raise ApiError(401, "A JSON web token could not be decoded")
    if found.auth != "jwt" and kind == "jwt":
        raise ApiError(401, "Bad credentials")
    if found.auth == "installation" and kind != "installation":
        raise ApiError(403, "You must authenticate via a GitHub App.")
    if found.auth == "user" and kind != "user":
        raise ApiError(403, FORBIDDEN)


def _find_repo(app, context, params, path):
    if "owner" not in params or "repo" not in params or not path.startswith("/repos/"):
        return
    owner, name = context.params["owner"], context.params["repo"]
    repo = app.world.repo(owner, name)
    if repo is None:
        repo = app.world.moved_repo(owner, name)
        if repo is not None and _sees(app, context.credential, repo):
            _redirect(app, context, repo, path)
        raise ApiError(404, "Not Found")
    if not _sees(app, context.credential, repo):
        raise ApiError(404, "Not Found")
    context.repo = repo


def _redirect(app, context, repo, path):
    rest = path.split("/", 4)[4:]
    target = f"{app.base_of(context.request)}/repositories/{repo.id}" + ("/" + rest[0] if rest else "")
    if context.request.query_text:
        target += "?" + context.request.query_text
    is_read = context.request.method in ("GET", "HEAD")
    raise ApiError(301 if is_read else 307, "Moved Permanently" if is_read else "Moved Temporarily",
                   headers={"Location": target}, url=target)


def _sees(app, credential, repo) -> bool:
    if credential.kind == "jwt":
        return True
    if credential.kind == "installation":
        return repo.id in credential.installation.repo_ids and \
            (credential.repo_ids is None or repo.id in credential.repo_ids)
    if credential.kind == "user":
        return app.world.role(repo, credential.actor)[1] != "none"
    return not repo.private


def _check_rights(found, context):
    credential, repo = context.credential, context.repo
    if credential.kind == "installation" and found.alternatives:
        if not any(credential.has(need) for need in found.alternatives):
            wanted = "; ".join(",".join(f"{n}={l}" for n, l in need.items())
                               for need in found.alternatives)
            raise ApiError(403, FORBIDDEN, headers={"x-accepted-github-permissions": wanted})
    if repo is None:
        return
    if credential.kind == "user":
        need = found.need or ("write" if "write" in found.perms else "read")
        if not context.world.may(repo, credential.actor, need):
            raise ApiError(403, f"Must have {need} rights to Repository.")
    if repo.archived and context.request.method != "GET":
        raise ApiError(403, "Repository was archived so is read-only.")


def _answer(context, found, result) -> Answer:
    """What the operation returned as an answer, checked against the description when asked."""
    if isinstance(result, Answer):
        return result
    status, value, *more = result
    headers = dict(more[0]) if more else {}
    if context.links:
        order = [name for name in ("prev", "next", "last", "first") if name in context.links]
        headers["Link"] = ", ".join(f'<{context.links[name]}>; rel="{name}"' for name in order)
    if context.last_modified:
        headers["Last-Modified"] = http_date(context.last_modified)
    if found.perms:
        headers["x-accepted-github-permissions"] = found.perms.replace(":", "=").replace("|", "; ")
    if value is None:
        return Answer(status, b"", headers)
    app = context.app
    if app.check_answers and app.description:
        operation = app.description.by_name.get(found.name)
        for fault in app.description.check_answer(operation, status, value) if operation else []:
            if not any(known in fault for known in DISAGREEMENTS):
                app.record.gap(f"own answer to {found.name} ({status}): {fault}")
    return Answer.json(value, status, headers)


def _finish(app, request, answer: Answer) -> Answer:
    """Headers, conditional requests, compression."""
    key = request.facts.get("key") or app.tokens.key_of(request.headers.get("Authorization"))
    resource = request.facts["resource"]
    headers = answer.headers
    headers.setdefault("Date", http_date(app.clock.now()))
    headers["Server"] = "github.com"
    headers["x-github-request-id"] = app.request_id()
    headers["x-github-media-type"] = "github.v3; format=json"
    version = request.headers.get("X-GitHub-Api-Version")
    headers["x-github-api-version-selected"] = version if version in VERSIONS else VERSIONS[0]
    scopes = app.tokens.scopes_of(request.headers.get("Authorization"))
    if scopes is not None:
        headers["X-OAuth-Scopes"] = scopes
    for name, value in app.limits.headers(key, resource).items():
        headers.setdefault(name, value)
    if request.method == "GET" and answer.status == 200:
        _condition(app, request, answer, key, resource)
    if answer.status != 304:
        compress(request, answer)
        if len(answer.body) > 1000 and app.dice.random() < 0.3 and not request.fault:
            chunk(answer, app.dice)
    return answer


def _condition(app, request, answer, key, resource) -> None:
    """ETag over the request's headers and the body (so it dies with the token), If-None-Match and
    If-Modified-Since; 304 is free."""
    digest = hashlib.sha256()
    for name in ("Accept", "Authorization", "Cookie"):
        if name in request.headers:
            digest.update(request.headers[name].encode() + b":")
    digest.update(answer.body)
    weak = "W/" if "gzip" in request.headers.get("Accept-Encoding", "") else ""
    answer.headers["ETag"] = f'{weak}"{digest.hexdigest()}"'
    answer.headers["Cache-Control"] = "private, max-age=60, s-maxage=60"
    answer.headers["Vary"] = "Accept, Authorization, Cookie, Accept-Encoding"
    asked = [tag.strip().removeprefix("W/") for tag in
             request.headers.get("If-None-Match", "").split(",")]
    since = request.headers.get("If-Modified-Since")
    same = f'"{digest.hexdigest()}"' in asked
    if not same and since and "If-None-Match" not in request.headers:
        same = since == answer.headers.get("Last-Modified")
    if same:
        app.limits.refund(key, resource)
        answer.status, answer.body = 304, b""
        answer.headers.pop("Content-Type", None)
        answer.headers.update(app.limits.headers(key, resource))
