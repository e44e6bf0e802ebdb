"""python -m github_standin --port 0 --state DIR --webhook-url URL --webhook-secret-file F ..."""

import argparse
import os
import shutil
import signal
import sys
import threading

from . import app as app_module
from standin_common.http import StandinServer, write_port_file


def parse(argv=None):
    parser = argparse.ArgumentParser(prog="github_standin", description="A small but unkind GitHub on "
                                     "loopback: REST, GraphQL, webhooks, git over HTTP, and pages.")
    parser.add_argument("--port", type=int, default=0, help="0: any free one (default)")
    parser.add_argument("--port-file", help="the port is written here once the server listens")
    parser.add_argument("--state", required=True, help="folder for the git repositories; emptied at start")
    parser.add_argument("--webhook-url", help="where events go")
    parser.add_argument("--webhook-secret-file")
    parser.add_argument("--app-id", type=int, help="id of the GitHub App; without it: token mode only")
    parser.add_argument("--app-slug", default="kfops", help="the bot is called SLUG[bot] (default kfops)")
    parser.add_argument("--app-key-file", help="the App's key, PEM, private or public")
    parser.add_argument("--token", help="a personal token that is valid")
    parser.add_argument("--token-user", default="kfops-bot", help="its owner (default kfops-bot)")
    parser.add_argument("--seed", type=int, default=1, help="for ids and everything at random")
    parser.add_argument("--check-answers", action="store_true",
                        help="hold own answers against GitHub's description, too")
    parser.add_argument("--mermaid", help="mermaid.min.js; default: where fetch_mermaid.sh puts it")
    return parser.parse_args(argv)


def main(argv=None) -> int:
    options = parse(argv)
    if options.app_id and not options.app_key_file:
        print("github_standin: --app-id needs --app-key-file", file=sys.stderr)
        return 2
    shutil.rmtree(os.path.join(options.state, "git"), ignore_errors=True)
    standin = app_module.Standin(options)
    server = StandinServer(standin, port=options.port)
    standin.open(server.port)
    server.start()
    if options.port_file:
        write_port_file(options.port_file, server.port)
    print(f"github_standin: http://127.0.0.1:{server.port}", file=sys.stderr, flush=True)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    ended.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
