"""Objects as REST and webhooks show them.

Every function takes the `Views` object for addresses and the world. Members are those that the published
description requires, and those that clients read.
"""

import json
import zlib

from standin_common.clock import iso

from . import rules
from .world import REACTIONS, ROLES, node_id

ALWAYS_SENT = {"meta", "installation", "installation_repositories"}
USER_LINKS = {"followers_url": "/followers", "following_url": "/following{/other_user}",
              "gists_url": "/gists{/gist_id}", "starred_url": "/starred{/owner}{/repo}",
              "subscriptions_url": "/subscriptions", "organizations_url": "/orgs", "repos_url": "/repos",
              "events_url": "/events{/privacy}", "received_events_url": "/received_events"}
REPO_LINKS = {"archive_url": "/{archive_format}{/ref}", "assignees_url": "/assignees{/user}",
              "blobs_url": "/git/blobs{/sha}", "branches_url": "/branches{/branch}",
              "collaborators_url": "/collaborators{/collaborator}", "comments_url": "/comments{/number}",
              "commits_url": "/commits{/sha}", "compare_url": "/compare/{base}...{head}",
              "contents_url": "/contents/{+path}", "contributors_url": "/contributors",
              "deployments_url": "/deployments", "downloads_url": "/downloads", "events_url": "/events",
              "forks_url": "/forks", "git_commits_url": "/git/commits{/sha}",
              "git_refs_url": "/git/refs{/sha}", "git_tags_url": "/git/tags{/sha}", "hooks_url": "/hooks",
              "issue_comment_url": "/issues/comments{/number}",
              "issue_events_url": "/issues/events{/number}", "issues_url": "/issues{/number}",
              "keys_url": "/keys{/key_id}", "labels_url": "/labels{/name}",
              "languages_url": "/languages", "merges_url": "/merges",
              "milestones_url": "/milestones{/number}",
              "notifications_url": "/notifications{?since,all,participating}",
              "pulls_url": "/pulls{/number}", "releases_url": "/releases{/id}",
              "stargazers_url": "/stargazers", "statuses_url": "/statuses/{sha}",
              "subscribers_url": "/subscribers", "subscription_url": "/subscription",
              "tags_url": "/tags", "teams_url": "/teams", "trees_url": "/git/trees{/sha}"}


class Views:
    def __init__(self, world, git, web: str, api: str):
        self.world = world
        self.git = git
        self.web = web
        self.api = api

    # people and Apps

    def user(self, user):
        if user is None:
            return None
        url = f"{self.api}/users/{user.login}"
        links = {name: url + rest for name, rest in USER_LINKS.items()}
        return {"login": user.login, "id": user.id, "node_id": user.node_id,
                "avatar_url": f"{self.web}/_standin/avatar/{user.id}.svg", "gravatar_id": "", "url": url,
                "html_url": f"{self.web}/{user.login}", **links, "type": user.type,
                "user_view_type": "public", "site_admin": False}

    def app(self, counted: bool = False):
        app = self.world.app
        shown = {"id": app.id, "slug": app.slug, "client_id": app.client_id,
                 "node_id": node_id("A", app.id), "owner": self.user(app.owner), "name": app.slug,
                 "description": "", "external_url": f"{self.web}/apps/{app.slug}",
                 "html_url": f"{self.web}/apps/{app.slug}", "created_at": iso(app.created),
                 "updated_at": iso(app.created), "permissions": dict(app.permissions),
                 "events": [event for event in app.events if event not in ALWAYS_SENT]}
        if counted:
            shown["installations_count"] = len(self.world.installations)
        return shown

    def any_app(self, app_id):
        """The App of a comment or check run; other Apps only by number and name."""
        if app_id is None:
            return None
        if self.world.app and app_id == self.world.app.id:
            return self.app()
        owner = self.world.need_user("github", "Organization")
        return {"id": app_id, "slug": "github-actions", "node_id": node_id("A", app_id),
                "owner": self.user(owner), "name": "GitHub Actions", "description": "",
                "external_url": f"{self.web}/apps/github-actions",
                "html_url": f"{self.web}/apps/github-actions", "created_at": "2018-07-30T09:30:17Z",
                "updated_at": "2024-04-10T20:33:16Z", "permissions": {}, "events": []}

    def installation(self, installation):
        app = self.world.app
        return {"id": installation.id, "account": self.user(installation.account),
                "repository_selection": "selected", "app_id": app.id, "app_slug": app.slug,
                "client_id": app.client_id, "target_id": installation.account.id,
                "target_type": installation.account.type, "permissions": dict(installation.permissions),
                "access_tokens_url": f"{self.api}/app/installations/{installation.id}/access_tokens",
                "repositories_url": f"{self.api}/installation/repositories",
                "html_url": f"{self.web}/settings/installations/{installation.id}",
                "events": [event for event in app.events if event not in ALWAYS_SENT],
                "created_at": iso(installation.created),
                "updated_at": iso(installation.updated), "single_file_name": None,
                "has_multiple_single_files": False, "single_file_paths": [],
                "suspended_by": self.user(installation.suspended_by),
                "suspended_at": iso(installation.suspended_at)}

    # repositories

    def repo(self, repo, viewer=None, full: bool = False):
        url = f"{self.api}/repos/{repo.full_name}"
        html = f"{self.web}/{repo.full_name}"
        open_issues = sum(1 for issue in repo.issues.values() if issue.state == "open")
        shown = {"id": repo.id, "node_id": repo.node_id, "name": repo.name, "full_name": repo.full_name,
                 "private": repo.private, "owner": self.user(repo.owner), "html_url": html,
                 "description": None, "fork": repo.fork_of is not None, "url": url,
                 **{name: url + rest for name, rest in REPO_LINKS.items()},
                 "created_at": iso(repo.created), "updated_at": iso(repo.updated),
                 "pushed_at": iso(repo.pushed), "git_url": f"git://{html}.git", "ssh_url": f"{html}.git",
                 "clone_url": f"{html}.git", "svn_url": html, "homepage": None, "size": 8,
                 "stargazers_count": 0, "watchers_count": 0, "language": "Python", "has_issues": True,
                 "has_projects": False, "has_downloads": True, "has_wiki": False, "has_pages": False,
                 "has_discussions": False, "forks_count": 0, "mirror_url": None,
                 "archived": repo.archived, "disabled": False, "open_issues_count": open_issues,
                 "license": None, "allow_forking": True, "is_template": False,
                 "web_commit_signoff_required": False, "topics": [],
                 "visibility": "private" if repo.private else "public", "forks": 0,
                 "open_issues": open_issues, "watchers": 0, "default_branch": repo.default_branch}
        if viewer is not None:
            shown["permissions"] = self.booleans(repo, viewer)
        if full:
            shown.update({"network_count": 0, "subscribers_count": 0,
                          "allow_merge_commit": repo.methods["merge"],
                          "allow_squash_merge": repo.methods["squash"],
                          "allow_rebase_merge": repo.methods["rebase"], "allow_auto_merge": False,
                          "allow_update_branch": False, "delete_branch_on_merge": False})
        return shown

    def booleans(self, repo, user):
        level = ROLES.index(self.world.role(repo, user)[1])
        return {"admin": level >= 5, "maintain": level >= 4, "push": level >= 3, "triage": level >= 2,
                "pull": level >= 1}

    def permission(self, repo, user):
        """Answer of .../collaborators/{login}/permission."""
        role, base = self.world.role(repo, user)
        folded = {"maintain": "write", "triage": "read"}.get(base, base)
        shown = self.user(user)
        shown["permissions"] = self.booleans(repo, user)
        shown["role_name"] = role
        return {"permission": folded, "role_name": role, "user": shown}

    def team(self, org, slug, members):
        """A team as it is shown by its name."""
        url, html = f"{self.api}/orgs/{org.login}/teams/{slug}", f"{self.web}/orgs/{org.login}"
        then, home = "2020-01-01T00:00:00Z", f"{self.api}/orgs/{org.login}"
        number = zlib.crc32(f"{org.login}/{slug}".encode())
        shown = {"login": org.login, "id": org.id, "node_id": org.node_id, "url": home,
                 "repos_url": home + "/repos", "events_url": home + "/events", "hooks_url": home + "/hooks",
                 "issues_url": home + "/issues", "members_url": home + "/members{/member}",
                 "public_members_url": home + "/public_members{/member}", "avatar_url": html + ".png",
                 "description": None, "html_url": html, "has_organization_projects": True,
                 "has_repository_projects": True, "public_repos": 0, "public_gists": 0, "followers": 0,
                 "following": 0, "type": "Organization", "created_at": then, "updated_at": then,
                 "archived_at": None}
        return {"id": number, "node_id": f"T_{number}", "url": url, "members_url": url + "/members{/member}",
                "html_url": f"{html}/teams/{slug}", "name": slug, "slug": slug, "description": "",
                "privacy": "closed", "permission": "pull", "repositories_url": url + "/repos", "parent": None,
                "type": "organization", "members_count": len(members), "repos_count": 0,
                "created_at": then, "updated_at": then, "organization": shown}

    def association(self, repo, user):
        if user is None:
            return "NONE"
        if user.id == repo.owner.id:
            return "OWNER"
        return "COLLABORATOR" if self.world.may(repo, user, "triage") else "NONE"

    def label(self, repo, label):
        return {"id": label.id, "node_id": node_id("LA", label.id),
                "url": f"{self.api}/repos/{repo.full_name}/labels/{label.name}", "name": label.name,
                "color": label.color, "default": False, "description": label.description}

    # issues and comments

    def reactions(self, owner, url: str):
        counts = {content: 0 for content in REACTIONS}
        for reaction in owner.reactions:
            counts[reaction.content] += 1
        return {"url": f"{url}/reactions", "total_count": len(owner.reactions), **counts}

    def reaction(self, reaction):
        return {"id": reaction.id, "node_id": reaction.node_id, "user": self.user(reaction.user),
                "content": reaction.content, "created_at": iso(reaction.created)}

    def issue(self, repo, issue):
        url = f"{self.api}/repos/{repo.full_name}/issues/{issue.number}"
        html = f"{self.web}/{repo.full_name}/{'pull' if issue.pull else 'issues'}/{issue.number}"
        shown = {"url": url, "repository_url": f"{self.api}/repos/{repo.full_name}",
                 "labels_url": url + "/labels{/name}", "comments_url": url + "/comments",
                 "events_url": url + "/events", "html_url": html, "id": issue.id,
                 "node_id": issue.node_id, "number": issue.number, "title": issue.title,
                 "user": self.user(issue.user), "labels": self.labels(repo, issue), "state": issue.state,
                 "locked": issue.locked, "assignee": None, "assignees": [], "milestone": None,
                 "comments": len(self.world.comments_of(issue)), "created_at": iso(issue.created),
                 "updated_at": iso(issue.updated), "closed_at": iso(issue.closed_at),
                 "author_association": self.association(repo, issue.user),
                 "active_lock_reason": issue.lock_reason, "body": issue.body,
                 "reactions": self.reactions(issue, url), "timeline_url": url + "/timeline",
                 "performed_via_github_app": None, "state_reason": None}
        if issue.pull:
            pull = f"{self.api}/repos/{repo.full_name}/pulls/{issue.number}"
            shown["draft"] = issue.pull.draft
            shown["pull_request"] = {"url": pull, "html_url": html, "diff_url": html + ".diff",
                                     "patch_url": html + ".patch", "merged_at": iso(issue.pull.merged_at)}
        return shown

    def labels(self, repo, issue):
        return [self.label(repo, repo.labels[name.lower()]) for name in issue.labels]

    def comment(self, repo, comment):
        issue = repo.issues[comment.number]
        url = f"{self.api}/repos/{repo.full_name}/issues/comments/{comment.id}"
        page = "pull" if issue.pull else "issues"
        shown = {"url": url, "id": comment.id, "node_id": comment.node_id,
                 "html_url": f"{self.web}/{repo.full_name}/{page}/{issue.number}"
                             f"#issuecomment-{comment.id}",
                 "issue_url": f"{self.api}/repos/{repo.full_name}/issues/{issue.number}",
                 "user": self.user(comment.user), "created_at": iso(comment.created),
                 "updated_at": iso(comment.updated), "body": comment.body,
                 "author_association": self.association(repo, comment.user),
                 "reactions": self.reactions(comment, url),
                 "performed_via_github_app": self.any_app(comment.app_id), "pin": None,
                 "minimized": {"reason": comment.minimized} if comment.minimized else None}
        return shown

    # pull requests

    def pull(self, repo, issue, full: bool = True, head_sha: str | None = None):
        """head_sha: show an older head (a stale read)."""
        pull = issue.pull
        sha = head_sha or pull.head_sha
        url = f"{self.api}/repos/{repo.full_name}/pulls/{issue.number}"
        html = f"{self.web}/{repo.full_name}/pull/{issue.number}"
        issue_url = f"{self.api}/repos/{repo.full_name}/issues/{issue.number}"
        head_repo = self.world.repos.get(pull.head_repo_id)
        links = {"self": url, "html": html, "issue": issue_url, "comments": issue_url + "/comments",
                 "review_comments": url + "/comments",
                 "review_comment": f"{self.api}/repos/{repo.full_name}/pulls/comments" + "{/number}",
                 "commits": url + "/commits",
                 "statuses": f"{self.api}/repos/{repo.full_name}/statuses/{sha}"}
        owner = pull.head_owner.login if pull.head_owner else "unknown"
        shown = {"url": url, "id": pull.id, "node_id": issue.node_id, "html_url": html,
                 "diff_url": html + ".diff", "patch_url": html + ".patch", "issue_url": issue_url,
                 "number": issue.number, "state": issue.state, "locked": issue.locked,
                 "active_lock_reason": issue.lock_reason, "title": issue.title,
                 "user": self.user(issue.user), "body": issue.body, "created_at": iso(issue.created),
                 "updated_at": iso(issue.updated), "closed_at": iso(issue.closed_at),
                 "merged_at": iso(pull.merged_at), "merge_commit_sha": pull.merge_commit_sha,
                 "assignee": None, "assignees": [], "requested_reviewers": [], "requested_teams": [],
                 "labels": self.labels(repo, issue), "milestone": None, "draft": pull.draft,
                 "commits_url": links["commits"], "review_comments_url": links["review_comments"],
                 "review_comment_url": links["review_comment"], "comments_url": links["comments"],
                 "statuses_url": links["statuses"],
                 "head": {"label": f"{owner}:{pull.head_ref}", "ref": pull.head_ref, "sha": sha,
                          "user": self.user(pull.head_owner),
                          "repo": self.repo(head_repo) if head_repo else None},
                 "base": {"label": f"{repo.owner.login}:{pull.base_ref}", "ref": pull.base_ref,
                          "sha": pull.base_sha, "user": self.user(repo.owner), "repo": self.repo(repo)},
                 "_links": {name: {"href": link} for name, link in links.items()},
                 "author_association": self.association(repo, issue.user), "auto_merge": None}
        if full:
            shown.update(self._pull_counts(repo, issue))
        return shown

    def _pull_counts(self, repo, issue):
        pull = issue.pull
        shortstat = self.git.text(repo.id, "diff", "--shortstat", f"{pull.base_sha}...{pull.head_sha}")
        counts = {"changed_files": 0, "additions": 0, "deletions": 0}
        for part in shortstat.split(", "):
            for word, name in (("file", "changed_files"), ("insertion", "additions"),
                               ("deletion", "deletions")):
                if word in part:
                    counts[name] = int(part.split()[0])
        commits = self.git.text(repo.id, "rev-list", "--count", f"{pull.base_sha}..{pull.head_sha}")
        return {"merged": pull.merged_at is not None, "mergeable": pull.mergeable, "rebaseable": None,
                "mergeable_state": self.mergeable_state(repo, issue),
                "merged_by": self.user(pull.merged_by), "comments": len(self.world.comments_of(issue)),
                "review_comments": 0, "maintainer_can_modify": pull.maintainer_can_modify, "commits": int(commits or 0),
                **counts}

    def mergeable_state(self, repo, issue):
        pull = issue.pull
        if pull.mergeable is None:
            return "unknown"
        if pull.mergeable is False:
            return "dirty"
        if pull.draft:
            return "draft"
        on_default = pull.base_ref == repo.default_branch
        if on_default and rules.blocks(self.world, repo, issue):
            return "blocked"
        base = self.git.head(repo.id, f"refs/heads/{pull.base_ref}")
        if on_default and rules.is_strict(repo) and base and not self.git.is_ancestor(repo.id, base, pull.head_sha):
            return "behind"
        runs = self.world.checks_of(repo, pull.head_sha)
        bad = any(run.status != "completed" or run.conclusion not in ("success", "neutral", "skipped")
                  for run in runs)
        return "unstable" if bad else "clean"

    def pull_refs(self, repo, sha: str):
        """The short `pull_requests` list of check runs: never of forks."""
        found = []
        for issue in repo.pulls():
            pull = issue.pull
            if pull.head_sha != sha or pull.head_repo_id != repo.id or issue.state != "open":
                continue
            short = {"id": repo.id, "url": f"{self.api}/repos/{repo.full_name}", "name": repo.name}
            found.append({"url": f"{self.api}/repos/{repo.full_name}/pulls/{issue.number}",
                          "id": pull.id, "number": issue.number,
                          "head": {"ref": pull.head_ref, "sha": sha, "repo": short},
                          "base": {"ref": pull.base_ref, "sha": pull.base_sha, "repo": short}})
        return found

    def review(self, repo, issue, review):
        pull = f"{self.api}/repos/{repo.full_name}/pulls/{issue.number}"
        html = f"{self.web}/{repo.full_name}/pull/{issue.number}#pullrequestreview-{review.id}"
        return {"id": review.id, "node_id": node_id("PRR", review.id), "user": self.user(review.user),
                "body": review.body, "state": review.state, "html_url": html, "pull_request_url": pull,
                "author_association": self.association(repo, review.user),
                "_links": {"html": {"href": html}, "pull_request": {"href": pull}},
                "submitted_at": iso(review.submitted), "commit_id": review.commit_id}

    # checks and statuses

    def check_run(self, repo, run):
        url = f"{self.api}/repos/{repo.full_name}/check-runs/{run.id}"
        output = {"title": run.output.get("title"), "summary": run.output.get("summary"),
                  "text": run.output.get("text"), "annotations_count": len(run.annotations),
                  "annotations_url": url + "/annotations"}
        html = f"{self.web}/{repo.full_name}/runs/{run.id}"
        return {"id": run.id, "name": run.name, "node_id": run.node_id, "head_sha": run.head_sha,
                "external_id": run.external_id, "url": url, "html_url": html,
                "details_url": run.details_url or f"{self.web}/apps/{self.world.app.slug}",
                "status": run.status, "conclusion": run.conclusion, "started_at": run.started,
                "completed_at": run.completed, "output": output, "check_suite": {"id": run.suite_id},
                "app": self.any_app(run.app_id), "pull_requests": self.pull_refs(repo, run.head_sha)}

    def check_suite(self, repo, suite):
        runs = [run for run in self.world.check_runs.values() if run.suite_id == suite.id]
        done = bool(runs) and all(run.status == "completed" for run in runs)
        conclusion = None
        if done:
            bad = [run.conclusion for run in runs if run.conclusion not in ("success", "neutral", "skipped")]
            conclusion = bad[0] if bad else "success"
        status = "completed" if done else "in_progress" if runs else "queued"
        url = f"{self.api}/repos/{repo.full_name}/check-suites/{suite.id}"
        return {"id": suite.id, "node_id": node_id("CS", suite.id), "head_branch": suite.head_branch,
                "head_sha": suite.head_sha, "status": status, "conclusion": conclusion, "url": url,
                "before": suite.before, "after": suite.head_sha, "app": self.any_app(suite.app_id),
                "pull_requests": self.pull_refs(repo, suite.head_sha), "created_at": iso(suite.created),
                "updated_at": iso(suite.updated), "latest_check_runs_count": len(runs),
                "check_runs_url": url + "/check-runs",
                "head_commit": self.simple_commit(repo, suite.head_sha)}

    def status(self, repo, status):
        return {"url": f"{self.api}/repos/{repo.full_name}/statuses/{status['sha']}",
                "avatar_url": f"{self.web}/_standin/avatar/{status['creator'].id}.svg",
                "id": status["id"], "node_id": node_id("SC", status["id"]), "state": status["state"],
                "description": status["description"], "target_url": status["target_url"],
                "context": status["context"], "created_at": iso(status["created"]),
                "updated_at": iso(status["created"]), "creator": self.user(status["creator"])}

    # commits

    def simple_commit(self, repo, sha: str):
        commit = self.git.log(repo.id, sha, 1)[0]
        return {"id": sha, "tree_id": commit["tree"], "message": commit["message"],
                "timestamp": iso(commit["committed"]),
                "author": {"name": commit["name"], "email": commit["email"]},
                "committer": {"name": commit["name"], "email": commit["email"]}}

    def commit(self, repo, commit):
        url = f"{self.api}/repos/{repo.full_name}/commits/{commit['sha']}"
        git = f"{self.api}/repos/{repo.full_name}/git"
        author = {"name": commit["name"], "email": commit["email"], "date": iso(commit["authored"])}
        committer = {**author, "date": iso(commit["committed"])}
        user = self.user(self.world.user(commit["name"]))
        unsigned = {"verified": False, "reason": "unsigned", "signature": None, "payload": None,
                    "verified_at": None}
        parents = [{"sha": sha, "url": f"{self.api}/repos/{repo.full_name}/commits/{sha}",
                    "html_url": f"{self.web}/{repo.full_name}/commit/{sha}"} for sha in commit["parents"]]
        return {"url": url, "sha": commit["sha"], "node_id": f"C_{commit['sha']}",
                "html_url": f"{self.web}/{repo.full_name}/commit/{commit['sha']}",
                "comments_url": url + "/comments",
                "commit": {"url": f"{git}/commits/{commit['sha']}", "author": author,
                           "committer": committer, "message": commit["message"], "comment_count": 0,
                           "tree": {"sha": commit["tree"], "url": f"{git}/trees/{commit['tree']}"},
                           "verification": unsigned},
                "author": user, "committer": user, "parents": parents}


def dump(value) -> bytes:
    """JSON as GitHub sends it in webhooks: compact, not escaped."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
