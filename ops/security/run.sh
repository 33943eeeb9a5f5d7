#!/usr/bin/env bash
# Every security check in one table; checkov and pip-audit live in an environment of their own under build/.
set -euo pipefail
cd "$(dirname "$0")/../.."

bash ops/venv.sh security
JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION=1 exec .venv/bin/python -m ops.security "$@"
