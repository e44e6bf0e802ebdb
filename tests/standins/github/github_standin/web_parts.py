"""Pieces that all pages are made of: the frame, avatars, icons, times, states of checks."""

import html

from standin_common.clock import iso

from .ops_checks import latest_statuses

REACTION_EMOJI = {"+1": "👍", "-1": "👎", "laugh": "😄", "confused": "😕", "heart": "❤️",
                  "hooray": "🎉", "rocket": "🚀", "eyes": "👀"}
COLOURS = ("#0969da", "#8250df", "#bf3989", "#bc4c00", "#1a7f37", "#9a6700", "#cf222e", "#1b7c83",
           "#57606a", "#6639ba")
# Line drawings on a 16 x 16 grid, stroked in the text's colour.
DRAWINGS = {
    "pull": '<circle cx="4" cy="3.5" r="1.75"/><circle cx="4" cy="12.5" r="1.75"/><circle cx="12" cy="12.5"'
            ' r="1.75"/><path d="M4 5.3v5.4M12 10.7V6a2 2 0 0 0-2-2H8.2M10 2 8 4l2 2"/>',
    "merge": '<circle cx="4" cy="3.5" r="1.75"/><circle cx="4" cy="12.5" r="1.75"/><circle cx="12" cy="8.5"'
             ' r="1.75"/><path d="M4 5.3v5.4M4.3 5.4c.6 2 2.6 3.1 5.9 3.1"/>',
    "closed": '<circle cx="4" cy="3.5" r="1.75"/><circle cx="4" cy="12.5" r="1.75"/><circle cx="12" cy="12.5"'
              ' r="1.75"/><path d="M4 5.3v5.4M12 10.7V7.5M10.3 2.3l3.4 3.4M13.7 2.3l-3.4 3.4"/>',
    "commit": '<circle cx="8" cy="8" r="3.2"/><path d="M.8 8h4M11.2 8h4"/>',
    "check": '<path d="m3 8.5 3.2 3.2L13 4.8"/>',
    "cross": '<path d="m4 4 8 8M12 4l-8 8"/>',
    "dot": '<circle cx="8" cy="8" r="3.4" fill="currentColor"/>',
    "skip": '<circle cx="8" cy="8" r="6.2"/><path d="m4.2 11.8 7.6-7.6"/>',
    "alert": '<path d="M8 1.8 15 14H1L8 1.8ZM8 6v4M8 11.6v.8"/>',
    "stop": '<path d="M5.2 1.5h5.6l3.7 3.7v5.6l-3.7 3.7H5.2l-3.7-3.7V5.2l3.7-3.7ZM8 4.6v4M8 10.6v.8"/>',
    "clock": '<circle cx="8" cy="8" r="6.4"/><path d="M8 4.2V8l2.6 1.6"/>',
    "tag": '<path d="M1.8 2.8v4.4l6.6 6.6 5.4-5.4-6.6-6.6H2.8a1 1 0 0 0-1 1Z"/><circle cx="5" cy="5" r=".6"/>',
    "pencil": '<path d="m2.2 13.8.7-3.3 7.9-7.9 2.6 2.6-7.9 7.9-3.3.7ZM9.3 4.1l2.6 2.6"/>',
    "lock": '<rect x="3" y="7" width="10" height="7" rx="1.2"/><path d="M5 7V5a3 3 0 0 1 6 0v2"/>',
    "eye": '<path d="M1 8s2.6-4.6 7-4.6S15 8 15 8s-2.6 4.6-7 4.6S1 8 1 8Z"/><circle cx="8" cy="8" r="2"/>',
    "repo": '<path d="M3 13.2V3a1.4 1.4 0 0 1 1.4-1.4H13v12.8H4.2A1.2 1.2 0 0 1 3 13.2Zm0 0c0-.9.6-1.6 1.6-1.6H13"/>',
    "code": '<path d="m5 4-4 4 4 4M11 4l4 4-4 4"/>',
    "issue": '<circle cx="8" cy="8" r="6.4"/><circle cx="8" cy="8" r="1" fill="currentColor"/>',
    "chat": '<path d="M1.8 2.5h12.4v8.6H8l-3.4 3v-3H1.8V2.5Z"/>',
    "checks": '<rect x="1.8" y="1.8" width="12.4" height="12.4" rx="2"/><path d="m4.8 8.2 2.2 2.2 4.2-4.4"/>',
    "diff": '<rect x="2.5" y="1.5" width="11" height="13" rx="1.4"/><path d="M8 4v5M5.5 6.5h5M5.5 11.6h5"/>',
    "play": '<circle cx="8" cy="8" r="6.4"/><path d="m6.6 5.4 4 2.6-4 2.6V5.4Z" fill="currentColor"/>',
    "sync": '<path d="M13.6 6.2A6 6 0 0 0 3 4.6L1.8 6M2.4 9.8A6 6 0 0 0 13 11.4l1.2-1.4M1.8 2.6V6h3.4M14.2 13.4V10h-3.4"/>',
    "fold": '<path d="M8 1v4M6 3.2l2 2 2-2M8 15v-4M6 12.8l2-2 2 2M1.5 8h2M6 8h4M12.5 8h2"/>',
}


def esc(text) -> str:
    return html.escape(str(text if text is not None else ""))


def icon(name: str, extra: str = "") -> str:
    return f'<svg class="icon {extra}" viewBox="0 0 16 16" aria-hidden="true">{DRAWINGS[name]}</svg>'


def avatar_svg(user) -> str:
    if user is None:
        initials, colour, shape = "?", "#818b98", "50"
    else:
        words = user.login.replace("[bot]", "").replace("_", "-").split("-")
        initials = "".join(word[0] for word in words[:2] if word).upper()
        colour = COLOURS[user.id % len(COLOURS)]
        shape = "18" if user.type == "Bot" else "50"
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100"><rect width="100" '
            f'height="100" rx="{shape}" fill="{colour}"/><text x="50" y="52" dy=".33em" fill="#fff" '
            f'font-family="Helvetica,Arial,sans-serif" font-size="{44 if len(initials) > 1 else 52}" '
            f'font-weight="600" text-anchor="middle">{esc(initials)}</text></svg>')


def avatar(user, size: int) -> str:
    number = user.id if user else 0
    shape = " square" if user and user.type == "Bot" else ""
    return (f'<img class="avatar{shape}" src="/_standin/avatar/{number}.svg" width="{size}" '
            f'height="{size}" alt="@{esc(user.login if user else "ghost")}">')


def people(app, repo) -> list[str]:
    """Logins that a form may act as: whoever has a role here first."""
    logins = [repo.owner.login] if repo.owner.type == "User" else []
    logins += [app.world.users[number].login for number in repo.roles]
    logins += [user.login for user in app.world.users.values()
               if user.type == "User" and user.login != app.options.token_user]
    return [login for login in dict.fromkeys(logins) if not login.endswith("-renamed")]


def name(user) -> str:
    """A login with its badge."""
    if user is None:
        return '<a class="author" href="/ghost">ghost</a>'
    login = user.login.removesuffix("[bot]")
    badge = ' <span class="badge">bot</span>' if user.type == "Bot" else ""
    return f'<a class="author" href="/{esc(login)}">{esc(login)}</a>{badge}'


def when(seconds: float) -> str:
    text = iso(seconds)
    shown = text.replace("T", " ").replace("Z", " UTC")
    return f'<time datetime="{text}" title="{shown}">on {shown}</time>'


def page(title: str, body: str, repo=None, tab: str = "pulls") -> str:
    head = '<a class="mark" href="/">' + icon("repo") + "</a>"
    tabs = ""
    if repo is not None:
        base = f"/{esc(repo.full_name)}"
        lock = '<span class="visibility">Private</span>' if repo.private else \
            '<span class="visibility">Public</span>'
        head += (f'<span class="crumbs"><a href="/">{esc(repo.owner.login)}</a><i>/</i>'
                 f'<a class="strong" href="{base}">{esc(repo.name)}</a></span>{lock}')
        count = sum(1 for issue in repo.pulls() if issue.state == "open")
        rows = (("code", "code", "Code", base, None), ("issues", "issue", "Issues", base, None),
                ("pulls", "pull", "Pull requests", f"{base}/pulls", count),
                ("actions", "play", "Actions", base, None))
        tabs = '<nav class="repo-tabs">' + "".join(
            f'<a class="{"on" if key == tab else ""}" href="{link}">{icon(drawing)} {label}'
            f'{f"<span class=count>{number}</span>" if number else ""}</a>'
            for key, drawing, label, link, number in rows) + "</nav>"
    return ("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{esc(title)}</title>"
            '<link rel="icon" href="data:,"><link rel="stylesheet" href="/_standin/assets/github.css">'
            f'</head><body><header class="top"><div class="bar">{head}</div>{tabs}</header>'
            f'<main class="container">{body}</main>'
            '<script src="/_standin/assets/page.js" defer></script></body></html>')


STATES = {"success": ("check", "ok", "Successful"), "failure": ("cross", "bad", "Failing"),
          "error": ("cross", "bad", "Failing"), "timed_out": ("cross", "bad", "Timed out"),
          "cancelled": ("stop", "muted", "Cancelled"), "skipped": ("skip", "muted", "Skipped"),
          "neutral": ("skip", "muted", "Neutral"), "action_required": ("alert", "wait", "Action required"),
          "pending": ("dot", "wait", "Pending"), "queued": ("dot", "wait", "Queued"),
          "in_progress": ("dot", "wait", "In progress")}


def state_icon(state: str) -> str:
    drawing, colour, _ = STATES.get(state, ("dot", "wait", ""))
    return icon(drawing, f"state {colour}")


def checks_summary(app, repo, sha: str) -> list[dict]:
    """One row per check: the newest run of each name and App, the newest status of each context."""
    newest = {}
    for run in app.world.checks_of(repo, sha):
        newest[(run.name, run.app_id)] = run
    rows = []
    for run in newest.values():
        state = run.conclusion if run.status == "completed" else run.status
        owner = app.world.app.bot if app.world.app and run.app_id == app.world.app.id else \
            app.world.need_user("github-actions[bot]", "Bot")
        rows.append({"name": run.name, "state": state, "title": run.output.get("title"), "user": owner,
                     "link": f"/{repo.full_name}/runs/{run.id}"})
    for status in latest_statuses(repo, sha):
        rows.append({"name": status["context"], "state": status["state"], "user": status["creator"],
                     "title": status["description"], "link": status["target_url"]})
    return sorted(rows, key=lambda row: row["name"])


def overall(rows: list[dict]) -> str:
    """success, failure or pending of a list of checks; empty text: none."""
    states = {row["state"] for row in rows}
    if not states:
        return ""
    if states & {"failure", "error", "timed_out", "cancelled", "action_required"}:
        return "failure"
    return "pending" if states & {"pending", "queued", "in_progress"} else "success"
