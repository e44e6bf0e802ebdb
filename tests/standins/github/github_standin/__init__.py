"""A small but unkind GitHub: REST, GraphQL, webhooks, git over HTTP, and the page people see.

__main__.py   options and wiring            app.py      one server: which request goes where
world.py      state: users, repositories ...  actions.py  what happens: comment, push, merge, with its events
views.py      objects as REST shows them    hooks.py    webhooks out, deliveries kept
auth.py       JWT, tokens, permissions      limits.py   primary and secondary limits, waits
rest.py       the way of a REST request     ops_*.py    the operations
graphql.py    the exact queries known       gitstore.py bare repositories, smart HTTP
rules.py      what must hold before a merge: protection, rulesets
control.py    /_standin/ for tests          web*.py     pages; markdown.py, static/
"""

import pathlib
import sys

# The shared helpers live beside this stand-in and are not installed anywhere.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "common"))
