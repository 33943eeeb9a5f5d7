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
# Serving speaks to libxgboost through its C API and loads the rules' engine without its command line: what only
# their packages' Python code imports stays out of the layer.
unwanted=(numpy scipy annotated-doc colorama markdown-it-py mdurl prompt-toolkit pygments rich shellingham typer wcwidth)
pin vendor --constraints requirements/development.txt "${unwanted[@]/#/--no-emit-package=}"
pin training-image --constraints requirements/development.txt
# The peers have wishes of their own, so nothing of the project's environment binds them.
pin bench
pin fuzz
# Checkov holds to an old boto3.
pin security
