"""The pages people see, and the forms on them.

    /                                    pull requests of all repositories
    /{o}/{r}, /{o}/{r}/pulls             pull requests of one
    /{o}/{r}/pull/{n}                    the conversation; ?fragment=1: its parts, for live updates
    /{o}/{r}/pull/{n}/commits|checks|files
    /{o}/{r}/runs/{id}                   one check run
    /{o}/{r}/commit/{sha}, /blob/{sha}/{path}

Forms act as the person chosen on the page: this is a stand-in on loopback, there is no login.
"""

import os
import pathlib
import urllib.parse

from standin_common.http import Answer

from . import web_pages, web_pull
from .web_parts import avatar_svg, page

STATIC = pathlib.Path(__file__).parent / "static"
TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
         ".svg": "image/svg+xml"}
CSP = ("default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src * data:; "
       "font-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'")


def mermaid_path(app) -> str | None:
    """mermaid.min.js, or None: then pages show the source."""
    if app.options.mermaid:
        return app.options.mermaid if os.path.isfile(app.options.mermaid) else None
    cache = os.environ.get("KFOPS_CACHE") or \
        os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "kfops")
    path = os.path.join(cache, "mermaid", "node_modules", "mermaid", "dist", "mermaid.min.js")
    return path if os.path.isfile(path) else None


def asset(app, name: str) -> Answer:
    kind, _, file = name.partition("/")
    if kind == "avatar":
        number = file.removesuffix(".svg")
        user = app.world.users.get(int(number)) if number.isdigit() else None
        answer = Answer.text(avatar_svg(user), content_type=TYPES[".svg"])
        answer.headers["Cache-Control"] = "max-age=3600"
        return answer
    path = STATIC / file
    if file == "mermaid.js":
        found = mermaid_path(app)
        path = pathlib.Path(found) if found else STATIC / "nothing"
    if path.parent != STATIC and file != "mermaid.js" or not path.is_file():
        return Answer.text("not found\n", 404)
    answer = Answer(200, path.read_bytes(), {"Content-Type": TYPES[pathlib.Path(file).suffix]})
    answer.headers["Cache-Control"] = "max-age=3600" if file == "mermaid.js" else "no-cache"
    return answer


def handle(app, request) -> Answer:
    segments = [part for part in request.segments() if part]
    with app.world.lock:
        try:
            if request.method == "POST":
                answer = _post(app, request, segments)
            else:
                answer = _get(app, request, segments)
        except (ValueError, KeyError):
            answer = None
    if answer is None:
        body = '<div class="blank"><h1>404</h1><p>This is not the page you are looking for.</p></div>'
        answer = Answer.text(page("Page not found", body), 404, "text/html; charset=utf-8")
    if answer.headers.get("Content-Type", "").startswith("text/html"):
        answer.headers.update({"Content-Security-Policy": CSP, "X-Content-Type-Options": "nosniff",
                               "Cache-Control": "no-store"})
    return answer


def _html(text: str) -> Answer:
    return Answer.text(text, content_type="text/html; charset=utf-8")


def _get(app, request, segments) -> Answer | None:
    if not segments:
        return _html(web_pages.front(app))
    repo = app.world.repo(segments[0], segments[1]) if len(segments) > 1 else None
    if repo is None:
        moved = app.world.moved_repo(segments[0], segments[1]) if len(segments) > 1 else None
        if moved:
            rest = "/".join(segments[2:])
            return Answer(301, b"", {"Location": f"/{moved.full_name}/{rest}"})
        return None
    kind = segments[2] if len(segments) > 2 else "pulls"
    if kind in ("pulls", "issues") and len(segments) <= 3:
        return _html(web_pages.pulls(app, repo))
    if kind in ("pull", "issues"):
        return _pull(app, request, repo, segments)
    if kind == "runs":
        return _html(web_pages.run(app, repo, app.world.check_runs[int(segments[3])]))
    if kind == "commit":
        return _html(web_pages.commit(app, repo, segments[3]))
    if kind == "blob":
        return _html(web_pages.blob(app, repo, segments[3], "/".join(segments[4:])))
    return None


def _pull(app, request, repo, segments) -> Answer | None:
    issue = repo.issues[int(segments[3])]
    tab = segments[4] if len(segments) > 4 else "conversation"
    if tab == "conversation" and request.arg("fragment"):
        return _html(web_pull.fragment(app, repo, issue))
    pages = {"conversation": web_pull.conversation, "commits": web_pages.pull_commits,
             "checks": web_pages.pull_checks, "files": web_pages.pull_files}
    if tab not in pages or (not issue.pull and tab != "conversation"):
        return None
    return _html(pages[tab](app, repo, issue))


def _post(app, request, segments) -> Answer | None:
    """Forms: comment, close, reopen, merge; Re-run and the buttons of a check run."""
    form = request.form()
    repo = app.world.repo(segments[0], segments[1])
    user = app.world.need_user((form.get("user") or repo.owner.login).strip() or repo.owner.login)
    if segments[2] == "runs":
        run = app.world.check_runs[int(segments[3])]
        if segments[4] == "rerequest":
            app.actions.rerequest_check(repo, run, user)
        else:
            app.actions.request_action(repo, run, user, form["identifier"])
        return _see(f"/{repo.full_name}/runs/{run.id}")
    issue = repo.issues[int(segments[3])]
    target = f"/{repo.full_name}/{segments[2]}/{issue.number}"
    what = form.get("do") or segments[4]
    body = form.get("body", "").replace("\r\n", "\r\n")
    if what in ("comment", "close", "reopen") and body.strip():
        made = app.actions.comment(repo, issue, user, body)
        target += f"#issuecomment-{made.id}"
    if what in ("close", "reopen"):
        app.actions.set_state(repo, issue, "closed" if what == "close" else "open", user)
    if what == "merge":
        app.actions.merge(repo, issue, user)
    return _see(target)


def _see(target: str) -> Answer:
    return Answer(303, b"", {"Location": urllib.parse.quote(target, safe="/#-")})


def conversation_markdown(app, repo, issue) -> str:
    """The conversation as Markdown, as people would read it."""
    from standin_common.clock import iso
    from .web_parts import REACTION_EMOJI, checks_summary
    state = "merged" if issue.pull and issue.pull.merged_at else issue.state
    lines = [f"# {issue.title} #{issue.number}", ""]
    if issue.pull:
        pull = issue.pull
        lines += [f"{state} · `{pull.head_ref}` → `{pull.base_ref}` · commit `{pull.head_sha[:7]}`"
                  f" · {repo.full_name}", ""]
    if issue.body:
        lines += [f"**@{issue.user.login}** opened this:", "", issue.body, ""]
    for comment in app.world.comments_of(issue):
        who = comment.user.login if comment.user else "ghost"
        notes = ["edited"] if comment.updated > comment.created else []
        notes += [f"minimised as {comment.minimized}"] if comment.minimized else []
        note = f" ({', '.join(notes)})" if notes else ""
        lines += ["---", "", f"**@{who}** · {iso(comment.created)}{note}", "", comment.body.strip(), ""]
        if comment.reactions:
            lines += [" ".join(f"{REACTION_EMOJI[r.content]} {r.user.login}"
                               for r in comment.reactions), ""]
    if issue.pull:
        rows = checks_summary(app, repo, issue.pull.head_sha)
        if rows:
            lines += ["---", "", "| check | state | title |", "|---|---|---|"]
            lines += [f"| {row['name']} | {row['state']} | {row['title'] or ''} |" for row in rows]
            lines.append("")
    return "\n".join(lines) + "\n"
