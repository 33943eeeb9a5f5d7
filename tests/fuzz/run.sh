#!/usr/bin/env bash
# Fuzz the deployed API from its committed OpenAPI document; the fuzzer lives in an environment of its own under build/.
set -euo pipefail
cd "$(dirname "$0")/../.."

venv=build/fuzz-venv
digest=$(sha256sum requirements/fuzz.txt | cut -d' ' -f1)
if [ "$(cat "$venv/.digest" 2>/dev/null)" != "$digest" ]; then
  echo "fuzz: environment with the fuzzer ($venv)" >&2
  .venv/bin/uv venv --quiet --clear --python .venv/bin/python "$venv"
  .venv/bin/uv pip sync --quiet --python "$venv/bin/python" --require-hashes requirements/fuzz.txt
  echo "$digest" > "$venv/.digest"
fi
exec .venv/bin/python -m tests.fuzz "$@"
