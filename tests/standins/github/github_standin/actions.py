"""What happens on GitHub, and the events that follow from it.

REST operations, the page's forms and the control interface all act through here, so that the bot's own
comments and check runs make the same webhooks as a person's. Callers hold the world's lock.
"""

from . import gitstore, merge_queue
from .world import (CheckRun, CheckSuite, Comment, Installation, Issue, Label, Pull, Reaction, Repo)

COMMENT_CHARS_MAX = 65536
COMMENT_BYTES_MAX = 262144


class Actions:
    def __init__(self, world, git, views, hooks, record, clock, push_lag_s: float = 0.0):
        self.world = world
        self.git = git
        self.views = views
        self.hooks = hooks
        self.record = record
        self.clock = clock

    def _emit(self, event, action, repo, sender, **parts):
        payload = {"action": action} if action else {}
        payload.update(parts)
        payload["repository"] = self.views.repo(repo)
        if repo.owner.type == "Organization":
            payload["organization"] = self._organization(repo.owner)
        payload["sender"] = self.views.user(sender)
        self.hooks.emit(event, action, payload, repo, self.world.installation_of(repo))

    def _organization(self, owner):
        url = f"{self.views.api}/orgs/{owner.login}"
        return {"login": owner.login, "id": owner.id, "node_id": owner.node_id, "url": url,
                "repos_url": url + "/repos", "events_url": url + "/events", "hooks_url": url + "/hooks",
                "issues_url": url + "/issues", "members_url": url + "/members{/member}",
                "public_members_url": url + "/public_members{/member}",
                "avatar_url": f"{self.views.web}/_standin/avatar/{owner.id}.svg", "description": ""}

    # repositories and installations

    def create_repo(self, owner, name, files, private=True, default_branch="main", author=None,
                    message="Initial commit", install=True) -> Repo:
        now = self.clock.now()
        repo = Repo(self.world.new_id("repo"), owner, name, private, now, now, now, default_branch)
        self.git.create(repo.id, default_branch)
        if files:
            self.git.commit(repo.id, f"refs/heads/{default_branch}", files, message,
                            author or owner.login, now)
        self.world.repos[repo.id] = repo
        self.record.mutation("repo.created", repo=repo.full_name, id=repo.id)
        if install and self.world.app:
            self.install(repo)
        return repo

    def fork(self, repo, owner) -> Repo:
        now = self.clock.now()
        fork = Repo(self.world.new_id("repo"), owner, repo.name, repo.private, now, now, now,
                    repo.default_branch, fork_of=repo.id)
        self.git.fork(repo.id, fork.id, repo.default_branch)
        self.world.repos[fork.id] = fork
        return fork

    def install(self, repo) -> None:
        """Puts the App on the repository: a new installation, or one more repository of the owner's."""
        short = {"id": repo.id, "node_id": repo.node_id, "name": repo.name,
                 "full_name": repo.full_name, "private": repo.private}
        for installation in self.world.installations.values():
            if installation.account.id == repo.owner.id:
                installation.repo_ids.add(repo.id)
                self._emit_installation("installation_repositories", "added", installation, {
                    "repository_selection": "selected", "repositories_added": [short],
                    "repositories_removed": [], "requester": None})
                return
        now = self.clock.now()
        installation = Installation(self.world.new_id("installation"), repo.owner, {repo.id},
                                    dict(self.world.app.permissions), now, now)
        self.world.installations[installation.id] = installation
        self._emit_installation("installation", "created", installation,
                                {"repositories": [short], "requester": None})

    def _emit_installation(self, event, action, installation, parts) -> None:
        payload = {"action": action, "installation": self.views.installation(installation), **parts,
                   "sender": self.views.user(installation.account)}
        self.hooks.emit(event, action, payload, None, installation)

    def suspend(self, installation, by) -> None:
        installation.suspended_at = self.clock.now()
        installation.suspended_by = by
        self._emit_installation("installation", "suspend", installation, {})

    def unsuspend(self, installation) -> None:
        installation.suspended_at = installation.suspended_by = None
        self._emit_installation("installation", "unsuspend", installation, {})

    def uninstall(self, installation) -> None:
        del self.world.installations[installation.id]
        self._emit_installation("installation", "deleted", installation, {"repositories": []})

    def rename(self, repo, name, by) -> None:
        old = repo.name
        self.world.moved[(repo.owner.login.lower(), old.lower())] = repo.id
        repo.name = name
        self._emit("repository", "renamed", repo, by, changes={"repository": {"name": {"from": old}}})

    # pull requests

    def open_pull(self, repo, title, body, branch, base, user, head_repo=None, draft=False,
                  maintainer_can_modify=False, quiet_refs=False) -> Issue:
        """Opens a pull request for a branch that is there already."""
        now = self.clock.now()
        head_repo = head_repo or repo
        sha = self.git.head(head_repo.id, f"refs/heads/{branch}")
        base_sha = self.git.head(repo.id, f"refs/heads/{base}")
        if sha is None or base_sha is None:
            raise gitstore.GitError(f"no such branch: {branch if sha is None else base}")
        self.git.bring(head_repo.id, repo.id, sha)
        pull = Pull(self.world.new_id("pull"), branch, sha, head_repo.id, head_repo.owner, base, base_sha,
                    draft, mergeable_reads=self.world.dice.randint(1, 3), history=[(now, sha)],
                    maintainer_can_modify=maintainer_can_modify and head_repo is not repo)
        issue = Issue(self.world.new_id("issue"), repo.next_number, title, body, user, now, now, pull=pull)
        repo.next_number += 1
        repo.issues[issue.number] = issue
        issue.timeline.append({"kind": "commits", "at": now, "before": base_sha, "after": sha,
                               "user": user, "forced": False})
        if not quiet_refs:
            self.git.set_ref(repo.id, f"refs/pull/{issue.number}/head", sha)
        self.record.mutation("pull.opened", repo=repo.full_name, number=issue.number, sha=sha)
        self._emit_pull(repo, issue, "opened", user)
        self._request_suite(repo, issue, user)
        return issue

    def _emit_pull(self, repo, issue, action, sender, **parts) -> None:
        self._emit("pull_request", action, repo, sender, number=issue.number,
                   pull_request=self.views.pull(repo, issue), **parts)

    def _request_suite(self, repo, issue, sender) -> None:
        """Apps that write checks hear check_suite.requested on every push; not for forks."""
        installation = self.world.installation_of(repo)
        if installation and installation.permissions.get("checks") == "write" and \
           issue.pull.head_repo_id == repo.id:
            suite = self.suite(repo, issue.pull.head_sha, self.world.app.id)
            self._emit("check_suite", "requested", repo, sender,
                       check_suite=self.views.check_suite(repo, suite))

    def open_issue(self, repo, title, body, user) -> Issue:
        now = self.clock.now()
        issue = Issue(self.world.new_id("issue"), repo.next_number, title, body, user, now, now)
        repo.next_number += 1
        repo.issues[issue.number] = issue
        return issue

    def branch_moved(self, repo, ref, before, after, user, quiet_refs=False) -> None:
        """A branch has a new head (before or after None: created, deleted): push event, and synchronize
        for every open pull request of that branch, in this repository or in that of which it is a
        fork."""
        now = self.clock.now()
        repo.pushed = now
        branch = ref.removeprefix("refs/heads/")
        forced = bool(before and after) and not self.git.is_ancestor(repo.id, before, after)
        self._emit_push(repo, ref, before, after, forced, user)
        bases = [repo] if repo.fork_of is None else [repo, self.world.repos.get(repo.fork_of)]
        for base in [item for item in bases if item]:
            for issue in base.pulls():
                if issue.state != "open":
                    continue
                if issue.pull.head_repo_id == repo.id and issue.pull.head_ref == branch and after:
                    self._synchronize(base, repo, issue, after, forced, user, quiet_refs)
                elif base is repo and issue.pull.base_ref == branch and after:
                    issue.pull.mergeable = None

    def _synchronize(self, base, head_repo, issue, sha, forced, user, quiet_refs) -> None:
        pull, now = issue.pull, self.clock.now()
        if pull.head_sha == sha:
            return
        before, pull.head_sha = pull.head_sha, sha
        pull.history.append((now, sha))
        pull.mergeable = None
        pull.mergeable_reads = self.world.dice.randint(1, 3)
        issue.updated = now
        self.git.bring(head_repo.id, base.id, sha)
        if not quiet_refs:
            self.git.set_ref(base.id, f"refs/pull/{issue.number}/head", sha)
        issue.timeline.append({"kind": "force-push" if forced else "commits", "at": now,
                               "before": before, "after": sha, "user": user, "forced": forced})
        self.record.mutation("pull.pushed", repo=base.full_name, number=issue.number, before=before,
                             after=sha)
        merge_queue.remove(self, base, issue, "UNKNOWN_REMOVAL_REASON", user)
        self._emit_pull(base, issue, "synchronize", user, before=before, after=sha)
        self._request_suite(base, issue, user)

    def _emit_push(self, repo, ref, before, after, forced, user) -> None:
        zero = gitstore.ZERO
        commits = []
        if after:
            span = f"{before}..{after}" if before else after
            commits = [self._push_commit(repo, c) for c in self.git.log(repo.id, span, 20)]
        self._emit("push", None, repo, user, ref=ref, before=before or zero, after=after or zero,
                   created=before is None, deleted=after is None, forced=forced, base_ref=None,
                   compare=f"{self.views.web}/{repo.full_name}/compare", commits=commits,
                   head_commit=commits[-1] if commits else None,
                   pusher={"name": user.login, "email": f"{user.login}@users.noreply.example.com"})

    def _push_commit(self, repo, commit):
        shown = self.views.simple_commit(repo, commit["sha"])
        shown.update(distinct=True, added=[], removed=[], modified=[],
                     url=f"{self.views.web}/{repo.full_name}/commit/{commit['sha']}")
        return shown

    def push(self, repo, branch, files, message, user, force=False, clear=False, quiet_refs=False,
             commits=1, backdated=0.0) -> str:
        """Commits to a branch and tells everybody. force: the new commit replaces the head instead of
        following it; commits: so many of them, told as one push."""
        ref = f"refs/heads/{branch}"
        before = self.git.head(repo.id, ref)
        parent = before
        if before is None:
            parent = self.git.head(repo.id, f"refs/heads/{repo.default_branch}")
        elif force:
            parent = self.git.head(repo.id, f"{before}~1")
        when = self.clock.now() - backdated
        after = self.git.commit(repo.id, ref, files, message, user.login, when, parent, clear)
        for number in range(1, commits):
            after = self.git.commit(repo.id, ref, {}, f"{message} {number}", user.login, when, after)
        self.branch_moved(repo, ref, before, after, user, quiet_refs)
        return after

    def look_mergeable(self, repo, issue) -> None:
        """A GET of the pull request: null for the first reads, then computed."""
        pull = issue.pull
        if pull.mergeable is not None or issue.state != "open":
            return
        if pull.mergeable_reads > 0:
            pull.mergeable_reads -= 1
            return
        base = self.git.head(repo.id, f"refs/heads/{pull.base_ref}") or pull.base_sha
        pull.mergeable = self.git.merge_tree(repo.id, base, pull.head_sha) is not None

    def is_behind(self, repo, issue) -> bool:
        """Does its base branch have commits that it has not?"""
        base = self.git.head(repo.id, f"refs/heads/{issue.pull.base_ref}")
        return base is not None and not self.git.is_ancestor(repo.id, base, issue.pull.head_sha)

    def set_state(self, repo, issue, state, user) -> None:
        if issue.state == state:
            return
        issue.state = state
        issue.updated = self.clock.now()
        issue.closed_at = issue.updated if state == "closed" else None
        issue.timeline.append({"kind": "closed" if state == "closed" else "reopened",
                               "at": issue.updated, "user": user})
        self.record.mutation(f"pull.{state}", repo=repo.full_name, number=issue.number)
        if issue.pull:
            merge_queue.remove(self, repo, issue, "MANUAL", user)
            self._emit_pull(repo, issue, "closed" if state == "closed" else "reopened", user)

    def edit_pull(self, repo, issue, user, title=None, body=None, base=None) -> None:
        changes = {}
        if title is not None and title != issue.title:
            changes["title"] = {"from": issue.title}
            issue.timeline.append({"kind": "renamed", "at": self.clock.now(), "user": user,
                                   "before": issue.title, "after": title})
            issue.title = title
        if body is not None and body != issue.body:
            changes["body"] = {"from": issue.body or ""}
            issue.body = body
        if base is not None and base != issue.pull.base_ref:
            changes["base"] = {"ref": {"from": issue.pull.base_ref}, "sha": {"from": issue.pull.base_sha}}
            issue.pull.base_ref = base
            issue.base_changed_at = self.clock.now()
            issue.pull.base_sha = self.git.head(repo.id, f"refs/heads/{base}") or issue.pull.base_sha
            issue.pull.mergeable = None
        issue.updated = self.clock.now()
        if changes:
            self._emit_pull(repo, issue, "edited", user, changes=changes)

    def set_draft(self, repo, issue, draft, user) -> None:
        issue.pull.draft = draft
        merge_queue.remove(self, repo, issue, "MANUAL", user)
        self._emit_pull(repo, issue, "converted_to_draft" if draft else "ready_for_review", user)

    def set_lock(self, repo, issue, locked, user, reason=None) -> None:
        issue.locked = locked
        issue.lock_reason = reason if locked else None
        issue.timeline.append({"kind": "locked" if locked else "unlocked", "at": self.clock.now(),
                               "user": user})
        if issue.pull:
            self._emit_pull(repo, issue, "locked" if locked else "unlocked", user)

    def merge(self, repo, issue, user, method="merge", title=None, message=None) -> str | None:
        """Merges; the new commit, or None when it conflicts."""
        pull, base_ref = issue.pull, f"refs/heads/{issue.pull.base_ref}"
        base = self.git.head(repo.id, base_ref)
        tree = self.git.merge_tree(repo.id, base, pull.head_sha)
        if tree is None:
            return None
        title = title or (f"Merge pull request #{issue.number} from {pull.head_ref}"
                          if method == "merge" else f"{issue.title} (#{issue.number})")
        parents = [base, pull.head_sha] if method == "merge" else [base]
        sha = self.git.commit_tree(repo.id, tree, parents, f"{title}\n\n{message or ''}".strip(),
                                   user.login)
        self.git.set_ref(repo.id, base_ref, sha)
        now = self.clock.now()
        pull.merged_at, pull.merged_by, pull.merge_commit_sha = now, user, sha
        issue.state, issue.closed_at, issue.updated = "closed", now, now
        issue.timeline.append({"kind": "merged", "at": now, "user": user, "after": sha})
        self.record.mutation("pull.merged", repo=repo.full_name, number=issue.number, sha=sha)
        self._emit_push(repo, base_ref, base, sha, False, user)
        self._emit_pull(repo, issue, "closed", user)
        return sha

    def drop_fork(self, repo, issue) -> None:
        """The fork a pull request came from is deleted; its commits stay readable here."""
        fork = self.world.repos.pop(issue.pull.head_repo_id, None)
        issue.pull.head_repo_id = None
        if fork:
            self.git.remove(fork.id)

    # comments, reactions, labels

    def comment(self, repo, issue, user, body, app_id=None) -> Comment:
        now = self.clock.now()
        comment = Comment(self.world.new_id("comment"), repo.id, issue.number, user, body, now, now,
                          app_id)
        self.world.comments[comment.id] = comment
        issue.comment_ids.append(comment.id)
        issue.updated = now
        self.record.mutation("comment.created", repo=repo.full_name, number=issue.number, id=comment.id,
                             user=user.login, body=body)
        self._emit_comment(repo, issue, comment, "created", user)
        return comment

    def _emit_comment(self, repo, issue, comment, action, sender, **parts) -> None:
        self._emit("issue_comment", action, repo, sender, issue=self.views.issue(repo, issue),
                   comment=self.views.comment(repo, comment), **parts)

    def edit_comment(self, comment, user, body) -> None:
        repo = self.world.repos[comment.repo_id]
        old, comment.body = comment.body, body
        comment.updated = self.clock.now()
        comment.editor = user
        self.record.mutation("comment.edited", repo=repo.full_name, number=comment.number, id=comment.id,
                             user=user.login, body=body)
        self._emit_comment(repo, repo.issues[comment.number], comment, "edited", user,
                           changes={"body": {"from": old}})

    def delete_comment(self, comment, user) -> None:
        repo = self.world.repos[comment.repo_id]
        issue = repo.issues[comment.number]
        issue.comment_ids.remove(comment.id)
        self.record.mutation("comment.deleted", repo=repo.full_name, number=issue.number, id=comment.id)
        self._emit_comment(repo, issue, comment, "deleted", user)
        del self.world.comments[comment.id]

    def minimize(self, comment, classifier: str) -> None:
        comment.minimized = classifier.lower()
        self.record.mutation("comment.minimized", id=comment.id, number=comment.number)

    def react(self, owner, user, content) -> tuple[Reaction, bool]:
        """The reaction, and whether it is new. `owner` is a comment or an issue."""
        for reaction in owner.reactions:
            if reaction.user.id == user.id and reaction.content == content:
                return reaction, False
        reaction = Reaction(self.world.new_id("reaction"), user, content, self.clock.now())
        owner.reactions.append(reaction)
        self.record.mutation("reaction.created", id=reaction.id, on=owner.id, user=user.login,
                             content=content)
        return reaction, True

    def unreact(self, owner, reaction) -> None:
        owner.reactions.remove(reaction)
        self.record.mutation("reaction.deleted", id=reaction.id, on=owner.id, user=reaction.user.login,
                             content=reaction.content)

    def add_label(self, repo, issue, name, user) -> None:
        """Labels the issue; a label that does not exist is created."""
        label = repo.labels.get(name.lower()) or self.create_label(repo, name, "ededed", None)
        if label.name in issue.labels:
            return
        issue.labels.append(label.name)
        issue.timeline.append({"kind": "labeled", "at": self.clock.now(), "user": user,
                               "label": label.name})
        self.record.mutation("label.added", number=issue.number, label=label.name)
        if issue.pull:
            self._emit_pull(repo, issue, "labeled", user, label=self.views.label(repo, label))

    def remove_label(self, repo, issue, name, user) -> None:
        label = repo.labels[name.lower()]
        issue.labels.remove(label.name)
        issue.timeline.append({"kind": "unlabeled", "at": self.clock.now(), "user": user,
                               "label": label.name})
        self.record.mutation("label.removed", number=issue.number, label=label.name)
        if issue.pull:
            self._emit_pull(repo, issue, "unlabeled", user, label=self.views.label(repo, label))

    def create_label(self, repo, name, color, description) -> Label:
        label = Label(self.world.new_id("label"), name, color, description)
        repo.labels[name.lower()] = label
        return label

    # checks and statuses

    def suite(self, repo, sha, app_id) -> CheckSuite:
        """The App's suite of a commit, made when there is none."""
        for suite in self.world.suites.values():
            if (suite.repo_id, suite.head_sha, suite.app_id) == (repo.id, sha, app_id):
                return suite
        now = self.clock.now()
        branch = next((issue.pull.head_ref for issue in repo.pulls()
                       if issue.pull.head_sha == sha and issue.pull.head_repo_id == repo.id), None)
        suite = CheckSuite(self.world.new_id("suite"), repo.id, sha, branch, app_id, now, now)
        self.world.suites[suite.id] = suite
        return suite

    def create_check(self, repo, app_id, sender, data) -> CheckRun:
        suite = self.suite(repo, data["head_sha"], app_id)
        run = CheckRun(self.world.new_id("check_run"), repo.id, suite.id, app_id, data["name"],
                       data["head_sha"])
        self.world.check_runs[run.id] = run
        self._fill_check(run, data)
        self.record.mutation("check.created", id=run.id, name=run.name, sha=run.head_sha,
                             status=run.status, conclusion=run.conclusion)
        self._emit_check(repo, run, "created", sender)
        if run.status == "completed":
            self._emit_check(repo, run, "completed", sender)
        return run

    def update_check(self, repo, run, sender, data) -> None:
        was = run.status
        self._fill_check(run, data)
        run.updates += 1
        self.record.mutation("check.updated", id=run.id, name=run.name, status=run.status,
                             conclusion=run.conclusion)
        if run.status == "completed" and was != "completed":
            self._emit_check(repo, run, "completed", sender)

    def _fill_check(self, run, data) -> None:
        from standin_common.clock import iso
        for key in ("name", "external_id", "details_url", "status", "conclusion"):
            if data.get(key) is not None:
                setattr(run, key, data[key])
        if data.get("conclusion"):
            run.status = "completed"
        elif data.get("status") and data["status"] != "completed":
            run.conclusion = run.completed = None
        run.started = data.get("started_at") or run.started or \
            (iso(self.clock.now()) if run.status != "queued" else None)
        if run.status == "completed":
            run.completed = data.get("completed_at") or run.completed or iso(self.clock.now())
        if "output" in data:
            run.output.update({key: value for key, value in data["output"].items()
                               if key != "annotations"})
            run.annotations += data["output"].get("annotations", [])
        if "actions" in data:
            run.actions = data["actions"]

    def _emit_check(self, repo, run, action, sender, **parts) -> None:
        shown = self.views.check_run(repo, run)
        shown["check_suite"] = self.views.check_suite(repo, self.world.suites[run.suite_id])
        del shown["check_suite"]["head_commit"]
        self._emit("check_run", action, repo, sender, check_run=shown, **parts)

    def rerequest_check(self, repo, run, user) -> None:
        """The Re-run button. It does not reset the run."""
        self.record.mutation("check.rerequested", id=run.id, user=user.login)
        self._emit_check(repo, run, "rerequested", user)

    def request_action(self, repo, run, user, identifier) -> None:
        self.record.mutation("check.action", id=run.id, user=user.login, identifier=identifier)
        self._emit_check(repo, run, "requested_action", user,
                         requested_action={"identifier": identifier})

    def rerequest_suite(self, repo, suite, user) -> None:
        self._emit("check_suite", "rerequested", repo, user,
                   check_suite=self.views.check_suite(repo, suite))

    def add_status(self, repo, sha, user, data) -> dict:
        status = {"id": self.world.new_id("status"), "sha": sha, "state": data["state"],
                  "description": data.get("description"), "target_url": data.get("target_url"),
                  "context": data.get("context", "default"), "created": self.clock.now(),
                  "creator": user}
        repo.statuses.setdefault(sha, []).append(status)
        self.record.mutation("status.created", id=status["id"], sha=sha, context=status["context"],
                             state=status["state"], description=status["description"])
        return status


def comment_fault(body) -> str | None:
    """Why GitHub would not take this text as a comment."""
    if not isinstance(body, str):
        return "nil"
    if not body.strip():
        return "blank"
    if len(body) > COMMENT_CHARS_MAX or len(body.encode()) > COMMENT_BYTES_MAX:
        return "long"
    return None
