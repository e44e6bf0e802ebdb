"""The pages beside the conversation: lists, commits, checks, files."""

from standin_common.clock import parse_iso

from . import markdown
from .web_parts import (STATES, avatar, checks_summary, esc, icon, overall, page, people, state_icon,
                        when)
from .web_pull import header, state_badge

BLOB_MAX = 200_000


def front(app) -> str:
    rows = "".join(_pull_rows(app, repo) for repo in app.world.repos.values())
    body = rows or '<div class="blank"><h3>There are no pull requests yet</h3></div>'
    return page("Pull requests", f'<h1 class="title">Pull requests</h1><div class="box list">{body}</div>')


def pulls(app, repo) -> str:
    rows = _pull_rows(app, repo) or '<div class="blank"><h3>No pull requests yet</h3></div>'
    return page(f"Pull requests · {repo.full_name}", f'<div class="box list">{rows}</div>', repo)


def _pull_rows(app, repo) -> str:
    shown = ""
    for issue in sorted(repo.issues.values(), key=lambda item: -item.number):
        state = overall(checks_summary(app, repo, issue.pull.head_sha)) if issue.pull else ""
        kind = "pull" if issue.pull else "issues"
        count = len(app.world.comments_of(issue))
        shown += (f'<div class="list-row">{state_badge(issue)}<div><a class="strong" href="/'
                  f'{esc(repo.full_name)}/{kind}/{issue.number}">{esc(issue.title)}</a> '
                  f'{state_icon(state) if state else ""}<p class="muted">{esc(repo.full_name)} '
                  f'#{issue.number} opened {when(issue.created)} by {esc(issue.user.login)}</p></div>'
                  f'<span class="grow"></span><span class="muted">{icon("chat")} {count}</span></div>')
    return shown


def pull_commits(app, repo, issue) -> str:
    rows = ""
    for commit in app.git.log(repo.id, f"{issue.pull.base_sha}..{issue.pull.head_sha}"):
        user = app.world.user(commit["name"])
        state = overall(checks_summary(app, repo, commit["sha"]))
        rows += (f'<div class="list-row">{avatar(user, 20)}<div><a class="strong" href="/'
                 f'{esc(repo.full_name)}/commit/{commit["sha"]}">'
                 f'{esc(commit["message"].splitlines()[0] if commit["message"] else "")}</a>'
                 f'<p class="muted">{esc(commit["name"])} committed {when(commit["committed"])} '
                 f'{state_icon(state) if state else ""}</p></div><span class="grow"></span>'
                 f'<code class="sha">{commit["sha"][:7]}</code></div>')
    return page(f"Commits · #{issue.number}", header(app, repo, issue, "commits")
                + f'<div class="box list">{rows}</div>', repo)


def pull_files(app, repo, issue) -> str:
    files = app.git.diff(repo.id, issue.pull.base_sha, issue.pull.head_sha)
    return page(f"Files · #{issue.number}", header(app, repo, issue, "files") + _diff(files), repo)


def commit(app, repo, sha) -> str | None:
    found = app.git.log(repo.id, sha, 1)[0]
    parent = found["parents"][0] if found["parents"] else None
    files = app.git.diff(repo.id, parent, found["sha"]) if parent else []
    subject, _, rest = found["message"].partition("\n")
    body = (f'<div class="box commit-head"><h3>{esc(subject)}</h3><pre>{esc(rest.strip())}</pre>'
            f'<p class="muted">{esc(found["name"])} committed {when(found["committed"])} · commit '
            f'<code>{found["sha"]}</code></p></div>')
    return page(f"{subject} · {repo.full_name}@{found['sha'][:7]}", body + _diff(files), repo, "code")


def _diff(files) -> str:
    shown = ""
    for file in files:
        lines = ""
        for line in (file["patch"] or "Binary file").splitlines():
            kind = {"+": "add", "-": "del", "@": "hunk"}.get(line[:1], "")
            lines += f'<span class="{kind}">{esc(line)}\n</span>'
        shown += (f'<div class="box diff"><div class="box-head"><code>{esc(file["filename"])}</code>'
                  f'<span class="diffstat"><b class="plus">+{file["additions"]}</b> '
                  f'<b class="minus">−{file["deletions"]}</b></span></div><pre>{lines}</pre></div>')
    return shown


def blob(app, repo, sha, path) -> str:
    raw = app.git.read(repo.id, sha, path)
    if raw is None:
        raise KeyError(path)
    lines = "".join(f'<span id="L{number}" class="line"><i>{number}</i>{esc(line)}\n</span>'
                    for number, line in enumerate(raw[:BLOB_MAX].decode(errors="replace").splitlines(), 1))
    return page(f"{path} · {repo.full_name}", f'<div class="box diff"><div class="box-head"><code>'
                f'{esc(path)}</code><code class="sha">{esc(sha[:7])}</code></div><pre>{lines}</pre></div>',
                repo, "code")


# checks


def pull_checks(app, repo, issue) -> str:
    sha = issue.pull.head_sha
    rows = "".join(
        f'<a class="list-row" href="{esc(row["link"] or "#")}">{state_icon(row["state"])}'
        f'{avatar(row["user"], 20)}<div><b>{esc(row["name"])}</b> <span class="muted">'
        f'{esc(row["title"] or "")}</span></div></a>' for row in checks_summary(app, repo, sha))
    body = f'<div class="box list">{rows}</div>' if rows else \
        '<div class="blank"><h3>No checks on this commit</h3></div>'
    return page(f"Checks · #{issue.number}", header(app, repo, issue, "checks") + body, repo)


def run(app, repo, item) -> str:
    """One check run: summary, text, annotations, Re-run and the App's buttons."""
    state = item.conclusion if item.status == "completed" else item.status
    word = STATES.get(state, ("", "", state))[2]
    others = "".join(
        f'<a class="check-side{" on" if row["link"] and row["link"].endswith(f"/{item.id}") else ""}" '
        f'href="{esc(row["link"] or "#")}">{state_icon(row["state"])} {esc(row["name"])}</a>'
        for row in checks_summary(app, repo, item.head_sha))
    parent = next((issue for issue in repo.pulls()
                   if any(sha == item.head_sha for _, sha in issue.pull.history)), None)
    back = f'<a href="/{esc(repo.full_name)}/pull/{parent.number}">{esc(parent.title)} ' \
           f"#{parent.number}</a>" if parent else esc(item.head_sha[:7])
    output = item.output
    summary = markdown.render(output.get("summary") or "", repo.full_name)
    text = markdown.render(output.get("text") or "", repo.full_name)
    times = f"started {when(parse_iso(item.started))}" if item.started else ""
    times += f", completed {when(parse_iso(item.completed))}" if item.completed else ""
    body = (f'<p class="muted back">{icon("pull")} {back}</p><div class="check-columns">'
            f'<aside class="box check-aside">{others}</aside><article class="box check-page">'
            f'<div class="check-title">{state_icon(state)}<div><h2>{esc(item.name)}</h2>'
            f'<p class="muted">{word} · <code>{item.head_sha[:7]}</code> · {times}</p></div>'
            f'<span class="grow"></span>{_buttons(app, repo, item)}</div>'
            f'<div class="markdown"><h2>{esc(output.get("title") or item.name)}</h2>{summary}{text}</div>'
            f"{_annotations(repo, item)}</article></div>")
    return page(f"{item.name} · {repo.full_name}", body, repo)


def _buttons(app, repo, item) -> str:
    options = "".join(f"<option>{esc(login)}</option>" for login in people(app, repo))
    base = f"/{esc(repo.full_name)}/runs/{item.id}"
    chooser = f'<label class="muted">as <select name="user">{options}</select></label> '
    extra = "".join(f'<button class="button" name="identifier" value="{esc(action["identifier"])}" '
                    f'title="{esc(action["description"])}" formaction="{base}/action">'
                    f'{esc(action["label"])}</button> ' for action in item.actions)
    return (f'<form class="buttons" method="post" action="{base}/rerequest">{chooser}{extra}'
            f'<button class="button">{icon("sync")} Re-run</button></form>')


def _annotations(repo, item) -> str:
    if not item.annotations:
        return ""
    colours = {"failure": "bad", "warning": "wait", "notice": "note"}
    rows = "".join(
        f'<div class="annotation {colours.get(a["annotation_level"], "")}">'
        f'<p><b>{esc(a.get("title") or a["annotation_level"].capitalize())}</b> <a href="/'
        f'{esc(repo.full_name)}/blob/{item.head_sha}/{esc(a["path"])}#L{a["start_line"]}">'
        f'{esc(a["path"])}:{a["start_line"]}</a></p><pre>{esc(a["message"])}</pre></div>'
        for a in item.annotations)
    return f'<div class="annotations"><h3>Annotations</h3>{rows}</div>'
