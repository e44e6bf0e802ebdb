"""python -m cluster_standin --state DIR [--objects DIR] [--mode knative|standard] ..."""

import argparse
import json
import os
import pathlib
import signal
import sys
import threading

from standin_common.http import StandinServer, write_port_file

from . import auth
from .app import World

RBAC = pathlib.Path(__file__).resolve().parents[4] / "deploy" / "rbac"


def parse(argv=None):
    parser = argparse.ArgumentParser(prog="cluster_standin", description="A small but unkind cluster on "
                                     "loopback: Kubernetes API, KServe, its services, S3.")
    parser.add_argument("--port", type=int, default=0, help="Kubernetes over http and the control "
                        "interface; 0: any free one (default), as for all ports")
    parser.add_argument("--tls-port", type=int, default=0, help="Kubernetes over https")
    parser.add_argument("--ingress-port", type=int, default=0)
    parser.add_argument("--s3-port", type=int, default=0)
    parser.add_argument("--port-file", help="the first port is written here once all listen; all of "
                        "them are in ports.json of the state folder")
    parser.add_argument("--state", required=True, help="folder for certificates, token, kubeconfig")
    parser.add_argument("--objects", help="folder whose folders are buckets (default STATE/objects)")
    parser.add_argument("--credentials", help="JSON file of S3 keys (default: STATE/s3.json is made)")
    parser.add_argument("--mode", default="knative", choices=["knative", "standard"],
                        help="deployment mode of services that name none (default knative)")
    parser.add_argument("--kserve-version", default="0.20", choices=["0.16", "0.20"],
                        help="0.16 has no spec.canary (default 0.20)")
    parser.add_argument("--no-gateway", action="store_true",
                        help="Standard mode with an Ingress: canaries get no share of the traffic")
    parser.add_argument("--domain", default="example.com")
    parser.add_argument("--namespaces", default="ml-prod,ml-staging,ml-team")
    parser.add_argument("--user", default=auth.BOT, help="whose token is in STATE/token")
    parser.add_argument("--rbac", default=str(RBAC) if RBAC.is_dir() else None,
                        help="folder of Role and RoleBinding documents")
    parser.add_argument("--client-certificate", action="store_true",
                        help="also write STATE/kubeconfig-certificate")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args(argv)


def prepare(options):
    state = pathlib.Path(options.state)
    state.mkdir(parents=True, exist_ok=True)
    options.objects = options.objects or str(state / "objects")
    if options.credentials is None:
        path = state / "s3.json"
        options.credentials = str(path)
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(json.dumps({"kfops": {"secret": "kfops-secret"}}), encoding="utf-8")


def main(argv=None) -> int:
    options = parse(argv)
    prepare(options)
    world = World(options)
    servers = {"kube": StandinServer(world.kube, port=options.port),
               "kube_tls": StandinServer(world.kube, port=options.tls_port),
               "ingress": StandinServer(world.ingress, port=options.ingress_port),
               "s3": StandinServer(world.s3, port=options.s3_port)}
    servers["kube_tls"].socket = world.authority.server_context().wrap_socket(
        servers["kube_tls"].socket, server_side=True, do_handshake_on_connect=False)
    world.control.ports = {name: server.port for name, server in servers.items()}
    world.write_configs(servers["kube_tls"].port)
    for server in servers.values():
        server.start()
    with open(os.path.join(options.state, "ports.json"), "w", encoding="utf-8") as out:
        json.dump(world.control.ports, out)
    if options.port_file:
        write_port_file(options.port_file, servers["kube"].port)
    print(f"cluster_standin: {world.control.ports}", file=sys.stderr, flush=True)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    ended.wait()
    world.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
