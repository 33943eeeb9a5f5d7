#!/usr/bin/env bash
# Every security check in one table; checkov and pip-audit live in an environment of their own under build/.
set -euo pipefail
cd "$(dirname "$0")/../.."

venv=build/security-venv
digest=$(sha256sum requirements/security.txt | cut -d' ' -f1)
if [ "$(cat "$venv/.digest" 2>/dev/null)" != "$digest" ]; then
  echo "security: environment with checkov and pip-audit ($venv)" >&2
  .venv/bin/uv venv --quiet --clear --python .venv/bin/python "$venv"
  .venv/bin/uv pip sync --quiet --python "$venv/bin/python" --require-hashes requirements/security.txt
  echo "$digest" > "$venv/.digest"
fi
JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION=1 exec .venv/bin/python -m ops.security "$@"
