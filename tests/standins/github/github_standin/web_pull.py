"""The conversation of a pull request."""

from . import markdown
from .web_parts import (REACTION_EMOJI, STATES, avatar, checks_summary, esc, icon, name, overall, page,
                        people, state_icon, when)


def conversation(app, repo, issue) -> str:
    parts = (f'<div id="live" data-source="?fragment=1">{fragment(app, repo, issue)}</div>'
             + _form(app, repo, issue))
    title = f"{issue.title} · Pull Request #{issue.number} · {repo.full_name}"
    return page(title, f'<div class="pull">{parts}</div>', repo)


def fragment(app, repo, issue) -> str:
    """Everything that changes; each [data-key] element is replaced by itself."""
    return (_keyed("header", header(app, repo, issue, "conversation"))
            + '<div class="columns"><div class="timeline-column" data-list="timeline">'
            + _timeline(app, repo, issue) + "</div>"
            + _keyed("sidebar", _sidebar(app, repo, issue), "sidebar") + "</div>")


def _keyed(key: str, content: str, css: str = "") -> str:
    return f'<div data-key="{key}" class="{css}">{content}</div>'


def state_badge(issue) -> str:
    if issue.pull and issue.pull.merged_at:
        return f'<span class="state-badge merged">{icon("merge")} Merged</span>'
    if issue.state == "closed":
        return f'<span class="state-badge closed">{icon("closed")} Closed</span>'
    if issue.pull and issue.pull.draft:
        return f'<span class="state-badge draft">{icon("pull")} Draft</span>'
    return f'<span class="state-badge open">{icon("pull" if issue.pull else "issue")} Open</span>'


def header(app, repo, issue, tab: str) -> str:
    """Title, state, branches and tabs."""
    line = f"{name(issue.user)} opened this issue {when(issue.created)}"
    tabs = ""
    if issue.pull:
        pull = issue.pull
        commits = app.git.log(repo.id, f"{pull.base_sha}..{pull.head_sha}")
        many = f"{len(commits)} commit{'s' if len(commits) != 1 else ''}"
        verb = "merged" if pull.merged_at else "wants to merge"
        who = pull.merged_by if pull.merged_at else issue.user
        owner = "" if pull.head_repo_id == repo.id else \
            f"{esc(pull.head_owner.login if pull.head_owner else 'unknown repository')}:"
        line = (f"{name(who)} {verb} {many} into <code class=\"branch\">{esc(pull.base_ref)}</code> from "
                f"<code class=\"branch\">{owner}{esc(pull.head_ref)}</code> at "
                f"<code class=\"branch\">{pull.head_sha[:7]}</code>")
        tabs = _tabs(app, repo, issue, tab, len(commits))
    return (f'<h1 class="title">{esc(issue.title)} <span class="number">#{issue.number}</span></h1>'
            f'<div class="title-line">{state_badge(issue)}<span>{line}</span></div>{tabs}')


def _tabs(app, repo, issue, tab, commits) -> str:
    base = f"/{esc(repo.full_name)}/pull/{issue.number}"
    files = app.git.text(repo.id, "diff", "--numstat", f"{issue.pull.base_sha}...{issue.pull.head_sha}")
    rows = [line.split("\t") for line in files.splitlines()]
    plus = sum(int(row[0]) for row in rows if row[0].isdigit())
    minus = sum(int(row[1]) for row in rows if row[1].isdigit())
    checks = len(checks_summary(app, repo, issue.pull.head_sha))
    comments = len(app.world.comments_of(issue))
    shown = (("conversation", "chat", "Conversation", base, comments),
             ("commits", "commit", "Commits", f"{base}/commits", commits),
             ("checks", "checks", "Checks", f"{base}/checks", checks),
             ("files", "diff", "Files changed", f"{base}/files", len(rows)))
    links = "".join(f'<a class="{"on" if key == tab else ""}" href="{link}">{icon(drawing)} {label} '
                    f'<span class="count">{count}</span></a>'
                    for key, drawing, label, link, count in shown)
    blocks = _diff_blocks(plus, minus)
    return (f'<nav class="tabs">{links}<span class="diffstat"><b class="plus">+{plus}</b> '
            f'<b class="minus">−{minus}</b> {blocks}</span></nav>')


def _diff_blocks(plus, minus) -> str:
    total = plus + minus
    green = round(5 * plus / total) if total else 0
    red = min(5 - green, round(5 * minus / total)) if total else 0
    return "".join(f'<i class="{"p" if i < green else "m" if i < green + red else ""}"></i>'
                   for i in range(5))


# timeline


def _timeline(app, repo, issue) -> str:
    items = [(issue.created, 0, "opened", _opening(app, repo, issue))]
    for index, event in enumerate(issue.timeline):
        items.append((event["at"], 1, f"event-{index}", _event(app, repo, issue, event)))
    for comment in app.world.comments_of(issue):
        items.append((comment.created, 2, f"comment-{comment.id}", _comment(app, repo, issue, comment)))
    items.sort(key=lambda item: item[:2])
    shown = "".join(f'<div class="item" data-key="{key}">{content}</div>'
                    for _, _, key, content in items)
    if issue.pull:
        shown += f'<div class="item" data-key="merge-box">{_merge_box(app, repo, issue)}</div>'
    return shown


def _opening(app, repo, issue) -> str:
    body = markdown.render(issue.body or "", repo.full_name) if issue.body else \
        "<p><em>No description provided.</em></p>"
    return _box(app, repo, issue, issue.user, issue.created, body, issue.reactions, None, "opened", "")


def _comment(app, repo, issue, comment) -> str:
    body = markdown.render(comment.body, repo.full_name)
    anchor = f"issuecomment-{comment.id}"
    edited = ' <span class="muted">· edited</span>' if comment.updated > comment.created else ""
    box = _box(app, repo, issue, comment.user, comment.created, body, comment.reactions, anchor,
               "commented", edited)
    if not comment.minimized:
        return box
    return (f'<details class="minimized"><summary><span class="note">{icon("fold")} This comment was '
            f'marked as {esc(comment.minimized)}.</span><span class="show">Show comment</span></summary>'
            f"{box}</details>")


def _box(app, repo, issue, user, at, body, reactions, anchor, verb, edited) -> str:
    labels = ""
    if user and user.type != "Bot":
        if user.id == issue.user.id and anchor:
            labels = '<span class="badge">Author</span>'
        role = {"OWNER": "Owner", "COLLABORATOR": "Collaborator"}.get(app.views.association(repo, user))
        labels = (f'<span class="badge">{role}</span>' if role else "") + labels
    link = f'<a class="muted" href="#{anchor}">{when(at)}</a>' if anchor else when(at)
    identity = f' id="{anchor}"' if anchor else ""
    viewer = " by-bot" if user and user.type == "Bot" else ""
    return (f'<div class="comment-row"{identity}>{avatar(user, 40)}<div class="box comment{viewer}">'
            f'<div class="box-head"><span>{name(user)} <span class="muted">{verb} {link}</span>{edited}'
            f'</span><span class="badges">{labels}</span></div>'
            f'<div class="markdown">{body}</div>{_reactions(reactions)}</div></div>')


def _reactions(reactions) -> str:
    if not reactions:
        return ""
    people = {}
    for reaction in reactions:
        people.setdefault(reaction.content, []).append(reaction.user.login)
    pills = "".join(f'<span class="pill" title="{esc(", ".join(logins))} reacted with {content}">'
                    f"{REACTION_EMOJI[content]} <b>{len(logins)}</b></span>"
                    for content, logins in people.items())
    return f'<div class="reactions">{pills}</div>'


def _event(app, repo, issue, event) -> str:
    kind, user, at = event["kind"], event["user"], event["at"]
    who = f"{avatar(user, 20)} {name(user)}"
    drawing, colour, text = "commit", "", ""
    if kind == "commits":
        return _commits(app, repo, issue, event, who)
    if kind == "force-push":
        drawing = "commit"
        text = (f"force-pushed the <code class=\"branch\">{esc(issue.pull.head_ref)}</code> branch from "
                f"{_sha(repo, event['before'])} to {_sha(repo, event['after'])}")
    elif kind in ("closed", "reopened"):
        drawing, colour = ("closed", "red") if kind == "closed" else ("pull", "green")
        text = f"{kind} this"
    elif kind == "merged":
        drawing, colour = "merge", "purple"
        text = f"merged commit {_sha(repo, event['after'])} into " \
               f"<code class=\"branch\">{esc(issue.pull.base_ref)}</code>"
    elif kind in ("labeled", "unlabeled"):
        drawing = "tag"
        text = f"{'added' if kind == 'labeled' else 'removed'} the {_label(repo, event['label'])} label"
    elif kind == "renamed":
        drawing = "pencil"
        text = f"changed the title <del>{esc(event['before'])}</del> <b>{esc(event['after'])}</b>"
    elif kind in ("locked", "unlocked"):
        drawing = "lock"
        text = f"{kind} the conversation"
    elif kind == "reviewed":
        drawing, colour, text = _review(event)
    return (f'<div class="event"><span class="event-mark {colour}">{icon(drawing)}</span>'
            f'<div>{who} <span class="muted">{text} {when(at)}</span></div></div>')


def _review(event):
    words = {"APPROVED": ("check", "green", "approved these changes"),
             "CHANGES_REQUESTED": ("diff", "red", "requested changes")}
    return words.get(event["state"], ("eye", "", "reviewed"))


def _commits(app, repo, issue, event, who) -> str:
    commits = app.git.log(repo.id, f"{event['before']}..{event['after']}")
    many = f"{len(commits)} commit{'s' if len(commits) != 1 else ''}"
    shown = f'<div class="event"><span class="event-mark">{icon("commit")}</span><div>{who} ' \
            f'<span class="muted">added {many} {when(event["at"])}</span></div></div>'
    for commit in commits:
        rows = checks_summary(app, repo, commit["sha"])
        state = overall(rows)
        subject = esc(commit["message"].split("\n")[0])
        mark = f'<a href="/{esc(repo.full_name)}/pull/{issue.number}/checks">{state_icon(state)}</a>' \
            if state else ""
        user = app.world.user(commit["name"])
        shown += (f'<div class="commit-line"><span class="commit-dot">{icon("commit")}</span>'
                  f'{avatar(user, 20)}<a class="subject" href="/{esc(repo.full_name)}/commit/'
                  f'{commit["sha"]}">{subject}</a>{mark}{_sha(repo, commit["sha"])}</div>')
    return shown


def _sha(repo, sha) -> str:
    return f'<a class="sha" href="/{esc(repo.full_name)}/commit/{sha}"><code>{sha[:7]}</code></a>'


def _label(repo, text) -> str:
    label = repo.labels[text.lower()]
    red, green, blue = (int(label.color[i:i + 2], 16) for i in (0, 2, 4))
    ink = "#1f2328" if red * 0.299 + green * 0.587 + blue * 0.114 > 140 else "#ffffff"
    return f'<span class="label" style="background:#{label.color};color:{ink}">{esc(label.name)}</span>'


# checks and merging


def _merge_box(app, repo, issue) -> str:
    pull = issue.pull
    rows = checks_summary(app, repo, pull.head_sha)
    if pull.merged_at or issue.state == "closed":
        if not rows:
            return ""
    state = overall(rows)
    parts = _checks_part(rows, state) if rows else ""
    if issue.state == "open":
        parts += _mergeable_part(repo, issue)
    colour = "purple" if pull.merged_at else {"success": "green", "failure": "grey",
                                             "pending": "grey"}.get(state, "green")
    return (f'<div class="comment-row"><span class="merge-mark {colour}">{icon("merge")}</span>'
            f'<div class="box merge">{parts}</div></div>')


def _checks_part(rows, state) -> str:
    counts = {}
    for row in rows:
        word = STATES.get(row["state"], ("", "", row["state"]))[2].lower()
        counts[word] = counts.get(word, 0) + 1
    said = ", ".join(f"{count} {word}" for word, count in counts.items())
    words = {"success": "All checks have passed", "failure": "Some checks were not successful",
             "pending": "Some checks haven’t completed yet"}[state]
    lines = "".join(
        f'<div class="check-line">{state_icon(row["state"])}{avatar(row["user"], 20)}'
        f'<span class="check-text"><b>{esc(row["name"])}</b> '
        f'<span class="muted">{esc(row["title"] or STATES.get(row["state"], ("", "", ""))[2])}</span></span>'
        + (f'<a class="details" href="{esc(row["link"])}">Details</a>' if row["link"] else "")
        + "</div>" for row in rows)
    plural = "s" if len(rows) != 1 else ""
    return (f'<div class="merge-part"><span class="round {state}">'
            f'{icon({"success": "check", "failure": "cross", "pending": "clock"}[state])}</span>'
            f"<div><h3>{words}</h3><p class=\"muted\">{said} check{plural}</p></div></div>"
            f'<div class="check-list">{lines}</div>')


def _mergeable_part(repo, issue) -> str:
    pull = issue.pull
    if pull.mergeable is False:
        return (f'<div class="merge-part"><span class="round failure">{icon("alert")}</span><div>'
                "<h3>This branch has conflicts that must be resolved</h3></div></div>")
    if pull.draft:
        return (f'<div class="merge-part"><span class="round pending">{icon("pull")}</span><div>'
                "<h3>This pull request is still a work in progress</h3></div></div>")
    return (f'<div class="merge-part"><span class="round success">{icon("check")}</span><div>'
            "<h3>No conflicts with base branch</h3>"
            '<p class="muted">Merging can be performed automatically.</p></div></div>'
            f'<form class="merge-form" method="post" action="/{esc(repo.full_name)}/pull/{issue.number}'
            '/merge"><button class="button primary">Merge pull request</button></form>')


# right column and form


def _sidebar(app, repo, issue) -> str:
    labels = "".join(_label(repo, text) for text in issue.labels) or '<p class="muted">None yet</p>'
    there = {issue.user.id: issue.user}
    for comment in app.world.comments_of(issue):
        if comment.user:
            there[comment.user.id] = comment.user
    reviews = ""
    for review in issue.reviews:
        mark = state_icon("success") if review.state == "APPROVED" else ""
        reviews += f"<p>{avatar(review.user, 20)} {name(review.user)} {mark}</p>"
    reviews = reviews or '<p class="muted">No reviews</p>'
    faces = "".join(avatar(user, 26) for user in there.values())
    many = f"{len(there)} participant{'s' if len(there) != 1 else ''}"
    sections = (("Reviewers", reviews), ("Assignees", '<p class="muted">No one assigned</p>'),
                ("Labels", labels), ("Milestone", '<p class="muted">No milestone</p>'),
                (many, f'<p class="faces">{faces}</p>'))
    locked = f'<section>{icon("lock")} Conversation locked</section>' if issue.locked else ""
    return "".join(f"<section><h4>{title}</h4>{content}</section>" for title, content in sections) + locked


def _form(app, repo, issue) -> str:
    logins = people(app, repo)
    first = issue.user.login if issue.user.login in logins else logins[0] if logins else "ann"
    options = "".join(f'<option{" selected" if login == first else ""}>{esc(login)}</option>'
                      for login in logins)
    kind = "pull" if issue.pull else "issues"
    base = f"/{esc(repo.full_name)}/{kind}/{issue.number}"
    closing = "" if issue.pull and issue.pull.merged_at else \
        ('<button class="button" name="do" value="close">Close pull request</button>'
         if issue.state == "open" else
         '<button class="button" name="do" value="reopen">Reopen pull request</button>')
    return (f'<form class="comment-row new-comment" id="new-comment" method="post" action="{base}/comment">'
            f'{avatar(app.world.user(first), 40)}<div class="form-side"><h3>Add a comment</h3>'
            '<div class="box form-box"><div class="form-tabs"><span class="on">Write</span></div>'
            '<textarea name="body" rows="4" placeholder="Add your comment here…"></textarea></div>'
            f'<div class="form-foot"><label class="muted">as <select name="user">{options}</select></label>'
            f'<span class="grow"></span>{closing}'
            '<button class="button primary" name="do" value="comment">Comment</button></div></div></form>')
