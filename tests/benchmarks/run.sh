#!/usr/bin/env bash
# Run the benchmarks with their peers, which live in an environment of their own under build/.
set -euo pipefail
cd "$(dirname "$0")/../.."

bash ops/venv.sh bench
PATH="$PATH:$PWD/.venv/bin" PYTHONPATH=.:layers/fraud/python:layers/runtime/python FEAST_USAGE=False exec build/bench-venv/bin/python -m tests.benchmarks "$@"
