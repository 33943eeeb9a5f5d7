#!/usr/bin/env bash
# Everything the project needs, into the project's own folder. Quick when nothing changed: what was
# installed is remembered by a digest of the files that say what to install.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { printf 'setup: %s\n' "$1" >&2; exit 1; }

python=""
for candidate in python3.13 python3 python; do
  if "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null; then
    python=$candidate
    break
  fi
done
[ -n "$python" ] || fail "Python 3.13 is needed (the Lambda runtime's version). Install it, for instance with: pyenv install 3.13"
command -v node >/dev/null || fail "Node.js 22 or 24 is needed for the CDK command line. Install it from your system's packages."
[ "$(node -p 'process.versions.node.split(".")[0]')" -ge 20 ] || fail "Node.js 22 or 24 is needed; this is $(node --version)."
command -v npm >/dev/null || fail "npm is needed; it comes with Node.js."

digest=$(cat .python-version pyproject.toml package.json package-lock.json requirements/*.txt requirements/uv.in ops/setup.sh | sha256sum | cut -d' ' -f1)
stamp=.venv/.paywarden-setup
if [ "$(cat "$stamp" 2>/dev/null)" != "$digest" ]; then
  echo "setup: Python environment (.venv)"
  [ -x .venv/bin/python ] && .venv/bin/python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' || "$python" -m venv --clear .venv
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
  .venv/bin/uv pip sync --quiet --python .venv/bin/python --require-hashes requirements/development.txt
  .venv/bin/uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable .
  # Bytecode now: every start of the CDK app, of a function and of a job is seconds shorter for it.
  .venv/bin/python -m compileall -q -j 2 .venv/lib >/dev/null || true
  echo "setup: CDK command line (node_modules)"
  npm ci --silent --no-audit --no-fund
  echo "$digest" > "$stamp"
fi
# The Lambda layers of every architecture; a folder that is already there is kept.
.venv/bin/python -m infra.layers > /dev/null
