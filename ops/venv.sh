#!/usr/bin/env bash
# What has wishes of its own gets an environment of its own: build/NAME-venv, as requirements/NAME.txt says.
# Quick when nothing changed.
set -euo pipefail
cd "$(dirname "$0")/.."

name=$1
venv=build/$name-venv
digest=$(sha256sum "requirements/$name.txt" | cut -d' ' -f1)
if [ "$(cat "$venv/.digest" 2>/dev/null)" != "$digest" ]; then
  echo "$name: an environment of its own ($venv)" >&2
  .venv/bin/uv venv --quiet --clear --python .venv/bin/python "$venv"
  .venv/bin/uv pip sync --quiet --python "$venv/bin/python" --require-hashes "requirements/$name.txt"
  echo "$digest" > "$venv/.digest"
fi
