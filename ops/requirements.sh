#!/usr/bin/env bash
# Pin every requirements file anew, with hashes and without naming where they come from.
set -euo pipefail
cd "$(dirname "$0")/.."

pin() {
  .venv/bin/uv pip compile --quiet --upgrade --python-version 3.13 --universal --generate-hashes \
    --no-emit-index-url --custom-compile-command "make requirements" "requirements/$1.in" --output-file "requirements/$1.txt" "${@:2}"
}
pin uv
pin development
# Serving speaks to libxgboost through its C API, so NumPy and SciPy stay out of the layer.
pin vendor --constraints requirements/development.txt --no-emit-package numpy --no-emit-package scipy
pin training-image --constraints requirements/development.txt
# The peers have wishes of their own, so nothing of the project's environment binds them.
pin bench
