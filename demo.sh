#!/usr/bin/env bash
# The whole bot on this machine, without a cluster and without GitHub: installs what is missing, builds, starts
# three stand-ins (a small GitHub, a small Kubeflow that really runs pipelines, a small cluster that really serves
# models) and kfopsd, all on loopback.
#
#   ./demo.sh          prints the address of a pull request; type /build_run there, then as bob /staging_deploy and
#                      /deploy; Ctrl-C ends it
#   ./demo.sh --once   gives the command itself, prints the conversation as Markdown, exits 0 if it ended well
#   ./demo.sh --tour   deploys a good model, tries to deploy a broken one, prints both conversations, exits 0 if all
#                      ended as it should
set -eu
cd "$(dirname "$0")"
KFOPS_SETUP_FOR=demo . scripts/setup.sh
build=${KFOPS_BUILD_ROOT:-$PWD/build}/demo
if [ ! -x "$build/kfopsd" ] || [ -n "$(find bot lib config CMakeLists.txt -newer "$build/kfopsd" -type f 2>/dev/null | head -1)" ]; then
  echo "demo: building" >&2
  mkdir -p "$build"
  cmake -S . -B "$build" -G Ninja -DFAULTS=OFF >"$build.log" 2>&1 && ninja -C "$build" kfopsd >>"$build.log" 2>&1 ||
    { tail -30 "$build.log" >&2; exit 1; }
fi
exec env KFOPS_BUILD="$build" "$KFOPS_PYTHON" deploy/demo/demo.py "$@"
