#!/usr/bin/env bash
# Installs what building, testing and the demo need, once: Debian packages, a Python environment, Mermaid.
# Source it (". scripts/setup.sh") to get KFOPS_PYTHON, KFOPS_S3_PYTHON, KFOPS_CACHE and KFOPS_MERMAID, or run it to install only.
set -eu
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export KFOPS_CACHE=${KFOPS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kfops}

packages=(build-essential cmake ninja-build pkg-config clang libclang-rt-14-dev llvm clang-format cppcheck pmccabe
  libmicrohttpd-dev libcurl4-openssl-dev libjansson-dev libssl-dev libgit2-dev libsqlite3-dev
  libyaml-dev libexpat1-dev libcmark-dev zlib1g-dev libcmocka-dev bubblewrap git openssl ca-certificates groff-base
  python3 python3-venv)

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  echo "setup: installing ${missing[*]}" >&2
  as_root=()
  [ "$(id -u)" = 0 ] || as_root=(sudo)
  "${as_root[@]}" apt-get update -qq >&2
  DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
fi

make_venv() { # requirements what: a Python environment of its own, named by the digest of its list
  local list=$root/scripts/$1
  venv=$KFOPS_CACHE/venv-$(sha256sum "$list" | cut -c1-12)
  [ -f "$venv/.complete" ] && return
  echo "setup: making the Python environment ($2)" >&2
  mkdir -p "$KFOPS_CACHE" && rm -rf "$venv" && python3 -m venv "$venv" &&
    "$venv/bin/pip" install -q --disable-pip-version-check --use-pep517 -r "$list" >&2 && touch "$venv/.complete"
}
make_venv requirements.txt "kfp, scikit-learn, pytest"
export KFOPS_PYTHON=$venv/bin/python
if [ "${KFOPS_SETUP_FOR:-}" != demo ]; then
  make_venv requirements-s3.txt "an S3 server for tests"
  export KFOPS_S3_PYTHON=$venv/bin/python
fi

# Mermaid draws the graphs on the stand-in's page. Without npm the page shows their source instead.
if command -v npm >/dev/null; then
  "$root/tests/standins/github/fetch_mermaid.sh" >/dev/null ||
    echo "setup: Mermaid could not be fetched; graphs are shown as source" >&2
fi
