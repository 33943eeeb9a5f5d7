#!/usr/bin/env bash
# Fuzz the deployed API from its committed OpenAPI document; the fuzzer lives in an environment of its own under build/.
set -euo pipefail
cd "$(dirname "$0")/../.."

bash ops/venv.sh fuzz
exec .venv/bin/python -m tests.fuzz "$@"
