"""Markdown as GitHub renders comments: tables, task lists, alerts, footnotes, strike-through, line
breaks kept, bare addresses and mentions linked, HTML cut down to what GitHub allows.

markdown-it-py does CommonMark; the rest is here. Mermaid blocks become <pre class="mermaid">, which the
page's script replaces by the picture.
"""

import html
import re
from html.parser import HTMLParser

from markdown_it import MarkdownIt
from mdit_py_plugins.footnote import footnote_plugin
from mdit_py_plugins.tasklists import tasklists_plugin

ALERTS = {"NOTE": "Note", "TIP": "Tip", "IMPORTANT": "Important", "WARNING": "Warning",
          "CAUTION": "Caution"}
TAGS = {"h1", "h2", "h3", "h4", "h5", "h6", "br", "b", "i", "strong", "em", "a", "pre", "code", "img",
        "tt", "div", "ins", "del", "sup", "sub", "p", "picture", "source", "ol", "ul", "table", "thead",
        "tbody", "tfoot", "blockquote", "dl", "dt", "dd", "kbd", "q", "samp", "var", "hr", "ruby", "rt",
        "rp", "li", "tr", "td", "th", "s", "strike", "summary", "details", "caption", "figure",
        "figcaption", "abbr", "bdo", "cite", "dfn", "mark", "small", "span", "time", "wbr", "input"}
VOID = {"br", "hr", "img", "source", "wbr", "input"}
DROPPED = {"script", "style", "title", "textarea", "xmp", "iframe", "noembed", "noframes", "plaintext"}
ATTRIBUTES = {"a": {"href", "title"}, "img": {"src", "alt", "title", "width", "height"},
              "td": {"align", "colspan", "rowspan"}, "th": {"align", "colspan", "rowspan"},
              "input": {"type", "checked", "disabled"}, "details": {"open"}, "ol": {"start"},
              "div": {"align"}, "p": {"align"}, "source": {"srcset", "media"}}
# Classes that our own rendering makes; a person's class attributes are removed.
CLASSES = re.compile(r"^(markdown-alert(-title|-\w+)?|user-mention|issue-link|mermaid|language-[\w+-]+|"
                     r"task-list-item(-checkbox)?|contains-task-list|footnote[\w-]*|commit-link)$")
LINK = re.compile(r"^(https?://|mailto:|#|/)", re.IGNORECASE)
INLINE = re.compile(r"(?P<url>https?://[^\s<>\"']*[^\s<>\"'.,:;!?)\]])"
                    r"|(?<![\w/@.`])@(?P<mention>[A-Za-z\d](?:[A-Za-z\d-]{0,38})(?:/[A-Za-z\d._-]+)?)"
                    r"|(?<![\w/&])#(?P<issue>\d{1,9})\b"
                    r"|\b(?P<sha>[0-9a-f]{40})\b"
                    r"|:(?P<emoji>[a-z0-9_+-]+):")
EMOJI = {"rocket": "🚀", "eyes": "👀", "white_check_mark": "✅", "x": "❌", "warning": "⚠️",
         "tada": "🎉", "+1": "👍", "-1": "👎", "heart": "❤️", "hourglass": "⌛", "arrow_forward": "▶️",
         "robot": "🤖", "confused": "😕", "bug": "🐛", "sparkles": "✨", "information_source": "ℹ️"}


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": True, "breaks": True})
    parser.enable(["table", "strikethrough"])
    parser.use(tasklists_plugin, enabled=False)
    parser.use(footnote_plugin)
    return parser


PARSER = _parser()


def render(text: str, repo: str = "") -> str:
    """HTML that is safe to put into the page; `repo` is where #12 leads."""
    tokens = PARSER.parse(text or "")
    _alerts(tokens)
    for token in tokens:
        if token.type == "inline":
            _inline(token, repo)
    rendered = PARSER.renderer.render(tokens, PARSER.options, {})
    return _Cleaner(repo).clean(_mermaid(rendered))


def _alerts(tokens) -> None:
    """> [!NOTE] at the top level becomes an alert."""
    for index, token in enumerate(tokens):
        if token.type != "blockquote_open" or token.level != 0 or index + 2 >= len(tokens):
            continue
        inline = tokens[index + 2]
        if inline.type != "inline":
            continue
        found = re.match(r"^\[!(NOTE|TIP|IMPORTANT|WARNING|CAUTION)\][ \t]*(\n|$)", inline.content)
        if not found:
            continue
        kind = found.group(1)
        token.tag = "div"
        token.attrs = {"class": f"markdown-alert markdown-alert-{kind.lower()}"}
        close = _closing(tokens, index)
        close.tag = "div"
        inline.content = inline.content[found.end():]
        drop = 0
        while drop < len(inline.children) and inline.children[drop].type not in ("softbreak",
                                                                                "hardbreak"):
            drop += 1
        inline.children = inline.children[drop + 1:]
        tokens[index + 1].meta = {"alert": kind}
    position = 0
    while position < len(tokens):
        kind = (tokens[position].meta or {}).get("alert")
        if kind:
            title = PARSER.parse("x")[0:3]
            title[0].attrs = {"class": "markdown-alert-title"}
            title[1].children[0].content = ALERTS[kind]
            tokens[position].meta = {}
            if tokens[position + 1].children:
                tokens[position:position] = title
            else:
                tokens[position:position + 3] = title
            position += 3
        position += 1


def _closing(tokens, index):
    for token in tokens[index + 1:]:
        if token.type == "blockquote_close" and token.level == tokens[index].level:
            return token
    raise ValueError("unbalanced block quote")


def _inline(token, repo) -> None:
    """Addresses, mentions, numbers, SHAs and emoji in plain text; not in links or code."""
    children, depth = [], 0
    for child in token.children or []:
        depth += child.type == "link_open"
        depth -= child.type == "link_close"
        if child.type == "text" and not depth:
            made = _linked(child.content, repo)
            if made != html.escape(child.content, quote=False):
                child.type, child.content = "html_inline", made
        children.append(child)
    token.children = children


def _linked(text: str, repo: str) -> str:
    parts, at = [], 0
    for found in INLINE.finditer(text):
        made = _replacement(found, repo)
        if made is None:
            continue
        parts += [html.escape(text[at:found.start()], quote=False), made]
        at = found.end()
    parts.append(html.escape(text[at:], quote=False))
    return "".join(parts)


def _replacement(found, repo) -> str | None:
    kind, text = found.lastgroup, found.group(found.lastgroup)
    safe = html.escape(text)
    if kind == "url":
        return f'<a href="{safe}">{safe}</a>'
    if kind == "mention":
        return f'<a class="user-mention" href="/{safe}">@{safe}</a>'
    if kind == "issue":
        return f'<a class="issue-link" href="/{html.escape(repo)}/pull/{safe}">#{safe}</a>'
    if kind == "sha":
        return f'<a class="commit-link" href="/{html.escape(repo)}/commit/{safe}">' \
               f"<code>{safe[:7]}</code></a>"
    return EMOJI.get(text)


def _mermaid(rendered: str) -> str:
    return re.sub(r'<pre><code class="language-mermaid">(.*?)</code></pre>',
                  r'<pre class="mermaid">\1</pre>', rendered, flags=re.DOTALL)


class _Cleaner(HTMLParser):
    """Lets through what GitHub lets through. Comments vanish; unknown tags lose their brackets' effect;
    scripts go with their content."""

    def __init__(self, repo):
        super().__init__(convert_charrefs=False)
        self._out = []
        self._open = []
        self._dropping = None

    def clean(self, text: str) -> str:
        self.feed(text)
        self.close()
        while self._open:
            self._out.append(f"</{self._open.pop()}>")
        return "".join(self._out)

    def handle_starttag(self, tag, attrs):
        if self._dropping:
            return
        if tag in DROPPED:
            self._dropping = tag
            return
        if tag not in TAGS:
            return
        self._out.append(f"<{tag}{self._attributes(tag, attrs)}>")
        if tag not in VOID:
            self._open.append(tag)

    def _attributes(self, tag, attrs) -> str:
        kept = ""
        allowed = ATTRIBUTES.get(tag, set())
        for name, value in attrs:
            value = value or ""
            if name == "class":
                value = " ".join(word for word in value.split() if CLASSES.match(word))
                if not value:
                    continue
            elif name == "id":
                if not re.match(r"^(fn|fnref)[\w:-]+$", value):
                    continue
            elif name == "style" and tag in ("td", "th"):
                found = re.fullmatch(r"text-align: ?(left|right|center)", value)
                if not found:
                    continue
                name, value = "align", found.group(1)
            elif name not in allowed:
                continue
            elif name in ("href", "src", "srcset") and not LINK.match(value.strip()):
                continue
            kept += f' {name}="{html.escape(value)}"'
        if tag == "a":
            kept += ' rel="nofollow"'
        if tag == "input":
            kept = ' type="checkbox" disabled' + (" checked" if ("checked" in dict(attrs)) else "")
        return kept

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag in TAGS and tag not in VOID and self._open and self._open[-1] == tag:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        if self._dropping:
            if tag == self._dropping:
                self._dropping = None
            return
        if tag in self._open:
            while self._open:
                last = self._open.pop()
                self._out.append(f"</{last}>")
                if last == tag:
                    break

    def handle_data(self, data):
        if not self._dropping:
            self._out.append(data.replace("<", "&lt;").replace(">", "&gt;"))

    def handle_entityref(self, name):
        if not self._dropping:
            self._out.append(f"&{name};")

    def handle_charref(self, name):
        if not self._dropping:
            self._out.append(f"&#{name};")

    def handle_comment(self, data):
        pass

    def handle_decl(self, decl):
        pass

    def unknown_decl(self, data):
        pass

    def handle_pi(self, data):
        pass
