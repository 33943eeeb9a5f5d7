"""Deploy the platform to a local cloud of its own, fuzz its API, and tell what came of it."""

import argparse
import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from ops import merchants
from ops.contract import DOCUMENT
from tests.cloud import deployed

ROOT = Path(__file__).resolve().parents[2]
FUZZER = ROOT / "build" / "fuzz-venv" / "bin" / "schemathesis"
REPORTS = ROOT / "build" / "fuzz"
CASES = 20_000


def main() -> int:
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=CASES, help="over all calls together (%(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=int, default=90, help="the run is ended after this long")
    parser.add_argument(
        "--port", type=int, help="of a local cloud that is up already, deployed to and left running"
    )
    given = parser.parse_args()
    with deployed(given.port, lambda text: sys.stderr.write(f"fuzz: {text}\n")) as deployment:
        merchant = f"fuzz-{time.time_ns()}"
        key = merchants.add(deployment, merchant, at=time.time_ns() // 1_000_000).secret
        status = _fuzz(deployment.api_url, key, given)
    return _told(status, given.cases)


def _fuzz(url: str, key: str, given: argparse.Namespace) -> int:
    REPORTS.mkdir(parents=True, exist_ok=True)
    calls = sum(len(path) for path in json.loads(DOCUMENT.read_text(encoding="utf-8"))["paths"].values())
    (REPORTS / "answers.txt").unlink(missing_ok=True)
    command = [
        *(FUZZER, "--config-file", ROOT / "tests/fuzz/schemathesis.toml", "run", DOCUMENT),
        *("--url", url, "--header", f"Authorization: Bearer {key}", "--seed", str(given.seed)),
        *("--max-examples", str(-(-given.cases // calls)), "--workers", "4"),
        # As long as API Gateway waits: the first call of a function brings up a process.
        *("--request-timeout", "30"),
    ]
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "tests.fuzz.hooks", "PYTHONPATH": str(ROOT)}
    try:
        return subprocess.run(
            command, cwd=REPORTS, env=environment, check=False, timeout=60 * given.minutes
        ).returncode
    except subprocess.TimeoutExpired:
        sys.stderr.write(f"fuzz: ended after {given.minutes} minutes\n")
        return 1


def _told(status: int, cases: int) -> int:
    """Print a table of what was sent and answered; the exit code."""
    answers: dict[str, Counter[int]] = {}
    for line in (REPORTS / "answers.txt").read_text(encoding="utf-8").splitlines():
        call, _, answered = line.partition("\t")
        answers.setdefault(call, Counter())[int(answered)] += 1
    total = sum(sum(each.values()) for each in answers.values())
    sys.stdout.write(f"{'call':50}{'cases':>8}  answers\n")
    for call, counts in sorted(answers.items()):
        told = "  ".join(f"{answered}: {count}" for answered, count in sorted(counts.items()))
        sys.stdout.write(f"{call:50}{sum(counts.values()):>8}  {told}\n")
    failed = sum(count for each in answers.values() for answered, count in each.items() if answered >= 500)
    sys.stdout.write(f"{'all':50}{total:>8}  {failed} of 500 and above\n")
    if total < cases:
        sys.stderr.write(f"fuzz: only {total} of {cases} cases were made\n")
    return status or int(failed > 0 or total < cases)


if __name__ == "__main__":
    sys.exit(main())
