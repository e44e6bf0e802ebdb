"""python -m kubeflow_standin --port 0 --state DIR [--version 2.17.0] [--multi-user] ..."""

import argparse
import os
import signal
import sys
import threading

from .api_runs import RunApi
from .api_v1 import ApiV1
from .auth import Auth
from .conformance import Conformance
from .control import Control
from .faults import Faults
from .mlmd import Metadata
from .runner import Runner
from .server import Dispatcher, Server
from .store import Store


def build(args):
    """The whole server from its options; used by the tests too."""
    store = Store(args.state)
    metadata = Metadata(store, args.objects)
    runner = Runner(store, metadata, os.environ.get("KFOPS_PYTHON"), args.secrets)
    namespaces = [n for n in (args.namespaces or "").split(",") if n]
    auth = Auth(args.tokens, args.multi_user, namespaces)
    api = RunApi(store, runner, auth, tuple(int(part) for part in args.version.split(".")))
    conformance = Conformance(args.version)
    control = Control(api, conformance, Faults(args.seed))
    if args.mode != "execute":
        runner.mode = args.mode
    runner.resume(api.template_of)
    return Server((args.host, args.port), Dispatcher(api, ApiV1(api), control, conformance))


def parser():
    made = argparse.ArgumentParser(prog="kubeflow_standin", description=__doc__)
    made.add_argument("--host", default="127.0.0.1")
    made.add_argument("--port", type=int, default=0, help="0: any free one")
    made.add_argument("--port-file", help="the port is written here when the server listens")
    made.add_argument("--state", required=True, help="folder for the journal and the runs")
    made.add_argument("--version", default="2.17.0", choices=["1.8.22", "2.5.0", "2.17.0"])
    made.add_argument("--multi-user", action="store_true")
    made.add_argument("--namespaces", help="comma separated; others are forbidden (multi-user)")
    made.add_argument("--tokens", help="JSON file of bearer tokens; without it nobody is asked")
    made.add_argument("--mode", default="execute", choices=["execute", "instant", "hold"])
    made.add_argument("--objects", help="folder of buckets: what tasks make is put there")
    made.add_argument("--secrets", help="JSON file {Secret: {key: value}}, the same in every namespace: "
                      "what executed tasks may take into their environment")
    made.add_argument("--seed", type=int, default=0)
    return made


def main():
    args = parser().parse_args()
    os.makedirs(args.state, exist_ok=True)
    server = build(args)
    port = server.server_address[1]
    if args.port_file:
        with open(args.port_file + ".new", "w", encoding="utf-8") as out:
            out.write(f"{port}\n")
        os.replace(args.port_file + ".new", args.port_file)
    print(f"listening on http://{args.host}:{port} as {args.version}", flush=True)

    def stop(_signal, _frame):
        threading.Thread(target=server.shutdown, daemon=True).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    server.serve_forever(poll_interval=0.1)
    server.dispatcher.api.runner.close()
    server.server_close()
    server.dispatcher.api.store.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
