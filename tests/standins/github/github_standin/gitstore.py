"""Bare repositories on disk, one per repository id, and git's smart HTTP through `git http-backend`.

Commits are made with `git fast-import`: one process, no work tree, any file mode, so that hostile trees
(links out of the tree, submodules, odd names) are as easy to make as good ones.
"""

import base64
import hashlib
import itertools
import os
import pathlib
import shutil
import subprocess
import threading

from standin_common.http import Answer

ZERO = "0" * 40
SKIPPED = {".git", "__pycache__", ".pytest_cache"}


class GitError(Exception):
    pass


class GitStore:
    def __init__(self, root: str):
        self.root = pathlib.Path(root)
        self.root.mkdir(parents=True, exist_ok=True)
        self._known: set = set()
        self._lock = threading.Lock()
        self._env = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": str(self.root),
                     "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", "LC_ALL": "C.UTF-8"}

    def path(self, repo_id: int) -> pathlib.Path:
        return self.root / f"{repo_id}.git"

    def run(self, repo_id: int, *args: str, data: bytes | None = None, check: bool = True):
        """Runs git in a repository; GitError with its message when it fails and check is set."""
        done = subprocess.run(["git", "-C", str(self.path(repo_id)), *args], input=data, env=self._env,
                              capture_output=True, check=False)
        if check and done.returncode != 0:
            raise GitError(done.stderr.decode(errors="replace").strip())
        return done

    def text(self, repo_id: int, *args: str) -> str:
        return self.run(repo_id, *args).stdout.decode(errors="replace").strip()

    def create(self, repo_id: int, default_branch: str) -> None:
        path = self.path(repo_id)
        shutil.rmtree(path, ignore_errors=True)
        subprocess.run(["git", "init", "-q", "--bare", f"--initial-branch={default_branch}", str(path)],
                       env=self._env, check=True)
        with open(path / "config", "a", encoding="ascii") as file:
            file.write("[uploadpack]\n\tallowAnySHA1InWant = true\n\tallowFilter = true\n"
                       "[receive]\n\thideRefs = refs/pull\n[http]\n\treceivepack = true\n[gc]\n\tauto = 0\n")

    def fork(self, from_id: int, to_id: int, default_branch: str) -> None:
        self.create(to_id, default_branch)
        self.run(to_id, "fetch", "-q", str(self.path(from_id)), "+refs/heads/*:refs/heads/*")

    def remove(self, repo_id: int) -> None:
        shutil.rmtree(self.path(repo_id), ignore_errors=True)

    def commit(self, repo_id: int, ref: str, files: dict, message: str, author: str, when: float,
               parent: str | None = None, clear: bool = False) -> str:
        """Commits `files` on top of `parent` (None: first commit) and moves `ref`. A file is text, None
        (deleted), or {"content"|"base64"|"symlink"|"gitlink", "mode"}. clear: nothing of the parent's
        tree stays."""
        stamp = f"{author} <{author}@users.noreply.example.com> {int(when)} +0000"
        stream = [f"commit {ref}\nmark :1\nauthor {stamp}\ncommitter {stamp}\n".encode(),
                  _data(message.encode())]
        if parent:
            stream.append(f"from {parent}\n".encode())
        if clear:
            stream.append(b"deleteall\n")
        for path, value in files.items():
            stream.append(_file(path, value))
        self.run(repo_id, "fast-import", "--quiet", "--force", "--date-format=raw", data=b"".join(stream))
        return self.head(repo_id, ref)

    def commit_alike(self, repo_id: int, parent: str, author: str) -> tuple[list[str], str]:
        """Two commits on top of `parent` that begin with the same seven digits, and a merge of both. Found by
        trying: some twenty thousand names are enough."""
        tree = self.text(repo_id, "rev-parse", f"{parent}^{{tree}}")
        stamp = f"{author} <{author}@users.noreply.example.com> 1700000000 +0000"
        seen: dict[str, bytes] = {}
        for number in itertools.count():
            body = f"tree {tree}\nparent {parent}\nauthor {stamp}\ncommitter {stamp}\n\nTry {number}\n".encode()
            sha = hashlib.sha1(b"commit %d\0" % len(body) + body).hexdigest()
            if sha[:7] in seen:
                break
            seen[sha[:7]] = body
        shas = [self.run(repo_id, "hash-object", "-t", "commit", "-w", "--stdin", data=each).stdout.decode().strip()
                for each in (seen[sha[:7]], body)]
        return shas, self.commit_tree(repo_id, tree, shas, "Both", author)

    def head(self, repo_id: int, ref: str) -> str | None:
        done = self.run(repo_id, "rev-parse", "-q", "--verify", f"{ref}^{{commit}}", check=False)
        return done.stdout.decode().strip() or None

    def has_commit(self, repo_id: int, sha: str) -> bool:
        if (repo_id, sha) in self._known:
            return True
        done = self.run(repo_id, "cat-file", "-e", f"{sha}^{{commit}}", check=False)
        if done.returncode == 0:
            self._known.add((repo_id, sha))
        return done.returncode == 0

    def set_ref(self, repo_id: int, ref: str, sha: str | None) -> None:
        if sha is None:
            self.run(repo_id, "update-ref", "-d", ref)
        else:
            self.run(repo_id, "update-ref", ref, sha)

    def refs(self, repo_id: int, under: str = "refs/heads") -> dict[str, str]:
        lines = self.text(repo_id, "for-each-ref", "--format=%(refname) %(objectname)", under)
        return dict(line.split(" ") for line in lines.splitlines())

    def bring(self, from_id: int, to_id: int, sha: str) -> None:
        """Makes a commit of a fork readable through the base, as GitHub's shared object store does."""
        if from_id != to_id and not self.has_commit(to_id, sha):
            self.run(to_id, "fetch", "-q", str(self.path(from_id)), sha)

    def is_ancestor(self, repo_id: int, old: str, new: str) -> bool:
        return self.run(repo_id, "merge-base", "--is-ancestor", old, new, check=False).returncode == 0

    def merge_tree(self, repo_id: int, base: str, head: str) -> str | None:
        """Tree of the merge, or None when it conflicts."""
        done = self.run(repo_id, "merge-tree", "--write-tree", base, head, check=False)
        return done.stdout.decode().split("\n")[0] if done.returncode == 0 else None

    def commit_tree(self, repo_id: int, tree: str, parents: list, message: str, author: str) -> str:
        args = [item for parent in parents for item in ("-p", parent)]
        names = ["-c", f"user.name={author}", "-c", f"user.email={author}@users.noreply.example.com"]
        return self.run(repo_id, *names, "commit-tree", tree, *args,
                        data=message.encode()).stdout.decode().strip()

    def log(self, repo_id: int, span: str, limit: int = 250) -> list[dict]:
        """Commits of a range, oldest first."""
        text = self.text(repo_id, "log", f"-{limit}", "--reverse",
                         "--format=%H%x1f%T%x1f%P%x1f%an%x1f%ae%x1f%at%x1f%ct%x1f%B%x1e", span, "--")
        commits = []
        for record in text.split("\x1e"):
            if not record.strip():
                continue
            sha, tree, parents, name, mail, authored, committed, message = record.strip("\n").split("\x1f")
            commits.append({"sha": sha, "tree": tree, "parents": parents.split(), "name": name,
                            "email": mail, "authored": float(authored), "committed": float(committed),
                            "message": message.strip()})
        return commits

    def diff(self, repo_id: int, base: str, head: str) -> list[dict]:
        """Changed files with counts and patch."""
        files = []
        names = self.text(repo_id, "diff", "--name-status", "-M", f"{base}...{head}")
        words = {"A": "added", "M": "modified", "D": "removed", "R": "renamed", "C": "copied",
                 "T": "changed"}
        for line in names.splitlines():
            parts = line.split("\t")
            entry = {"filename": parts[-1], "status": words.get(parts[0][0], "changed")}
            if len(parts) == 3:
                entry["previous_filename"] = parts[1]
            patch = self.text(repo_id, "diff", "-M", f"{base}...{head}", "--", *parts[1:])
            hunks = patch[patch.find("\n@@") + 1:] if "\n@@" in patch else None
            entry["patch"] = hunks
            body = hunks.splitlines() if hunks else []
            entry["additions"] = sum(1 for row in body if row.startswith("+"))
            entry["deletions"] = sum(1 for row in body if row.startswith("-"))
            entry["sha"] = self._blob(repo_id, head, parts[-1])
            files.append(entry)
        return files

    def _blob(self, repo_id, commit, path):
        done = self.run(repo_id, "rev-parse", "-q", "--verify", f"{commit}:{path}", check=False)
        return done.stdout.decode().strip() or ZERO

    def read(self, repo_id: int, commit: str, path: str) -> bytes | None:
        """Bytes of a file at a commit; None: absent or no file."""
        done = self.run(repo_id, "cat-file", "blob", f"{commit}:{path}", check=False)
        return done.stdout if done.returncode == 0 else None

    def list_tree(self, repo_id: int, commit: str, path: str) -> list[dict] | None:
        spec = f"{commit}:{path}" if path else f"{commit}^{{tree}}"
        done = self.run(repo_id, "ls-tree", "-l", spec, check=False)
        if done.returncode != 0:
            return None
        rows = []
        for line in done.stdout.decode(errors="replace").splitlines():
            info, name = line.split("\t", 1)
            mode, kind, sha, size = info.split()
            rows.append({"mode": mode, "kind": kind, "sha": sha, "name": name,
                         "size": 0 if size == "-" else int(size)})
        return rows

    def http_backend(self, repo_id: int, rest: str, request, user: str) -> Answer:
        """Runs `git http-backend` for one request."""
        env = {**self._env, "GIT_PROJECT_ROOT": str(self.root), "GIT_HTTP_EXPORT_ALL": "1",
               "PATH_INFO": f"/{repo_id}.git/{rest}", "QUERY_STRING": request.query_text,
               "REQUEST_METHOD": request.method, "REMOTE_USER": user, "REMOTE_ADDR": "127.0.0.1",
               "CONTENT_TYPE": request.headers.get("Content-Type", ""),
               "CONTENT_LENGTH": str(len(request.body))}
        for header, name in (("Git-Protocol", "GIT_PROTOCOL"),
                             ("Content-Encoding", "HTTP_CONTENT_ENCODING")):
            if header in request.headers:
                env[name] = request.headers[header]
        done = subprocess.run(["git", "http-backend"], input=request.body, env=env, capture_output=True,
                              check=False)
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        answer = Answer(200, body)
        for line in head.decode(errors="replace").splitlines():
            name, _, value = line.partition(": ")
            if name.lower() == "status":
                answer.status = int(value.split()[0])
            elif name:
                answer.headers[name] = value
        return answer


def _data(raw: bytes) -> bytes:
    return b"data %d\n%s\n" % (len(raw), raw)


def _file(path: str, value) -> bytes:
    quoted = '"' + path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    if value is None:
        return f"D {quoted}\n".encode()
    if isinstance(value, str):
        value = {"content": value}
    if "gitlink" in value:
        return f"M 160000 {value['gitlink']} {quoted}\n".encode()
    if "symlink" in value:
        return f"M 120000 inline {quoted}\n".encode() + _data(value["symlink"].encode())
    raw = base64.b64decode(value["base64"]) if "base64" in value else value["content"].encode()
    return f"M {value.get('mode', '100644')} inline {quoted}\n".encode() + _data(raw)


def read_template(folder: str) -> dict:
    """Files of a directory in the form that commit() takes."""
    root = pathlib.Path(folder)
    if not root.is_dir():
        raise GitError(f"no such directory: {folder}")
    files = {}
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root)
        if SKIPPED & set(relative.parts):
            continue
        if path.is_symlink():
            files[str(relative)] = {"symlink": os.readlink(path)}
        elif path.is_file():
            mode = "100755" if os.access(path, os.X_OK) else "100644"
            files[str(relative)] = {"base64": base64.b64encode(path.read_bytes()).decode(), "mode": mode}
    return files
