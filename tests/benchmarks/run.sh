#!/usr/bin/env bash
# Run the benchmarks with their peers, which live in an environment of their own under build/.
set -euo pipefail
cd "$(dirname "$0")/../.."

venv=build/bench-venv
digest=$(sha256sum requirements/bench.txt | cut -d' ' -f1)
if [ "$(cat "$venv/.digest" 2>/dev/null)" != "$digest" ]; then
  echo "bench: environment with the peers ($venv)" >&2
  .venv/bin/uv venv --quiet --clear --python .venv/bin/python "$venv"
  .venv/bin/uv pip sync --quiet --python "$venv/bin/python" --require-hashes requirements/bench.txt
  echo "$digest" > "$venv/.digest"
fi
PATH="$PATH:$PWD/.venv/bin" PYTHONPATH=.:layers/fraud/python:layers/runtime/python FEAST_USAGE=False exec "$venv/bin/python" -m tests.benchmarks "$@"
