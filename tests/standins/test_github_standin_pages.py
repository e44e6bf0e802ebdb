"""The GitHub stand-in: the pages that people see, and the process itself."""

import concurrent.futures
import urllib.parse

import pytest
from github_play import R, key_pem, play  # noqa: F401 (fixtures)
from github_standin import markdown
from standin_common.process import StandinProcess


# pages


@pytest.mark.parametrize("text, wanted", [
    ("| a | b |\n|---|--:|\n| 1 | 2 |", '<td align="right">2</td>'),
    ("- [x] done", 'type="checkbox" disabled checked'),
    ("> [!WARNING]\n> hot", '<div class="markdown-alert markdown-alert-warning">\n<p class="markdown-'
                            'alert-title">Warning</p>\n<p>hot</p>'),
    ("one\ntwo", "one<br>"),
    ("hi @ann-b, mail a@b.c", '<a class="user-mention" href="/ann-b" rel="nofollow">@ann-b</a>, mail a@b'),
    ("`@ann` and ```\n", "<code>@ann</code>"),
    ("see #12", '<a class="issue-link" href="/o/r/pull/12" rel="nofollow">#12</a>'),
    ("~~no~~", "<s>no</s>"),
    ("<details><summary>S</summary>\n\n**b**\n\n</details>", "<summary>S</summary>"),
    (":rocket:", "🚀"),
    ("```mermaid\nflowchart TD\n a-->b\n```", '<pre class="mermaid">flowchart TD'),
    ("https://example.com/x?a=1&b=2.", '<a href="https://example.com/x?a=1&amp;b=2"'),
])
def test_markdown_as_github_renders_it(text, wanted):
    assert wanted in markdown.render(text, "o/r")


@pytest.mark.parametrize("text, unwanted", [
    ("<!-- kf:v1 job=1 -->\nhello", "kf:v1"),
    ("<script>alert(1)</script>x", "alert"),
    ("<img src=x onerror=alert(1)>", "onerror"),
    ("<a href=\"javascript:alert(1)\">x</a>", "javascript"),
    ("[x](javascript:alert(1))", "href=\"javascript"),
    ("<p style=\"color:red\" class=\"evil\">x</p>", "style"),
    ("<p class=\"evil\">x</p>", "evil"),
    ("<iframe src=\"//x\"></iframe>", "iframe"),
    ("<svg onload=alert(1)>", "<svg"),
    ("<textarea><script>", "<script"),
    ("a <b <script>alert(1)</script>", "<script"),
])
def test_markdown_lets_nothing_through(text, unwanted):
    assert unwanted not in markdown.render(text, "o/r")


def test_the_page_shows_the_conversation(play):  # noqa: F811
    play.call("POST", f"{R}/issues/1/comments", {"body": "<!-- kf:v1 job=1 -->\n**done** <script>x"})
    sha = play.call("GET", f"{R}/pulls/1").json["head"]["sha"]
    run = play.call("POST", f"{R}/check-runs", {
        "name": "kfops/run", "head_sha": sha, "conclusion": "failure",
        "output": {"title": "train failed", "summary": "**why**", "annotations": [
            {"path": "src/train.py", "start_line": 1, "end_line": 1, "annotation_level": "failure",
             "message": "KeyError"}]}}).json
    page = play.call("GET", "/ann/iris/pull/1").raw.decode()
    for text in ("Deeper trees", "<strong>done</strong>", '<span class="badge">bot</span>', sha[:7],
                 "Some checks were not successful", "train failed", "wants to merge 1 commit"):
        assert text in page, text
    assert "kf:v1" not in page and "<script>x" not in page
    detail = play.call("GET", f"/ann/iris/runs/{run['id']}").raw.decode()
    assert "<strong>why</strong>" in detail and "KeyError" in detail and "Re-run" in detail
    for path in ("", "/commits", "/checks", "/files"):
        assert play.call("GET", f"/ann/iris/pull/1{path}").status == 200
    for path in ("/", "/ann/iris", f"/ann/iris/commit/{sha}", f"/ann/iris/blob/{sha}/src/train.py",
                 "/_standin/assets/page.js", "/_standin/assets/github.css"):
        assert play.call("GET", path).status == 200, path
    assert play.call("GET", "/ann/iris/pull/99").status == 404
    assert play.call("GET", "/_standin/assets/../app.py").status == 404


def test_the_pages_forms_act(play):  # noqa: F811
    def post(path, **form):
        return play.call("POST", path, raw=urllib.parse.urlencode(form).encode(),
                         headers={"Content-Type": "application/x-www-form-urlencoded"})
    answer = post("/ann/iris/pull/1/comment", user="ben", body="/build_run", do="comment")
    assert answer.status == 303
    _, payload, _ = play.receiver.wait("issue_comment", "created")[0]
    assert (payload["comment"]["body"], payload["sender"]["login"]) == ("/build_run", "ben")
    post("/ann/iris/pull/1/comment", user="ben", do="close")
    assert play.call("GET", f"{R}/pulls/1").json["state"] == "closed"
    text = play.standin.get("conversation/ann/iris/1.md")
    assert "# Deeper trees #1" in text and "**@ben**" in text and "/build_run" in text


def test_it_runs_as_a_process_of_its_own(tmp_path, key_pem):  # noqa: F811
    (tmp_path / "key.pem").write_bytes(key_pem)
    standin = StandinProcess("github", tmp_path / "state", "--app-id", "1", "--app-key-file",
                             str(tmp_path / "key.pem"))
    try:
        assert standin.post("repos", owner="ann", name="iris", files={"a": "b"})["full_name"] == "ann/iris"
        assert standin.violations() == []
    finally:
        standin.stop()


def test_mutations_can_be_waited_for(play):  # noqa: F811
    seen = play.standin.mutations()[-1]["seq"]
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(play.standin.mutations, seen, 10.0)
        play.comment("now")
        assert waiting.result(10)[0]["kind"] in ("comment.created", "delivery")
