#!/bin/sh
# Installs Mermaid for the pages of the GitHub stand-in into the cache folder, once. Without it the pages
# show the source of pictures.
set -eu

version="11.12.0"
cache="${KFOPS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kfops}/mermaid"

if [ -f "$cache/node_modules/mermaid/dist/mermaid.min.js" ]; then
	exit 0
fi
mkdir -p "$cache"
cd "$cache"
[ -f package.json ] || printf '{"private": true}\n' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts "mermaid@$version"
