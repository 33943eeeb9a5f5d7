"""Stands for a container in the tests: does what its arguments and hyperparameters ask."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(os.environ["ML_ROOT"])


def main() -> int:
    if sys.argv[1:] == ["train"]:
        return train()
    if sys.argv[1:2] == ["process"]:
        return process(sys.argv[2:])
    return 64


def train() -> int:
    config = ROOT / "input" / "config"
    mode = json.loads((config / "hyperparameters.json").read_text())["mode"]
    if mode == "fail":
        (ROOT / "output" / "failure").write_text("the label column is missing")
        return 3
    if mode == "sleep":
        # A child of its own, which must not outlive the job.
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
        time.sleep(300)
    if mode == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(300)
    channel = ROOT / "input" / "data" / "dataset"
    files = sorted(str(path.relative_to(channel)) for path in channel.rglob("*") if path.is_file())
    seen = {
        "files": files,
        "channels": json.loads((config / "inputdataconfig.json").read_text()),
        "resources": json.loads((config / "resourceconfig.json").read_text()),
        "environment": dict(os.environ),
    }
    (ROOT / "model" / "seen.json").write_text(json.dumps(seen))
    sys.stdout.write("round 1 auc=0.5\nround 2 auc=0.875\n")
    return 0


def process(arguments: list[str]) -> int:
    source, target = ROOT / "processing/input/history", ROOT / "processing/output/dataset"
    if arguments == ["fail"]:
        (ROOT / "output" / "message").write_text("no rows left after the split")
        return 1
    (target / "part").mkdir()
    for path in source.glob("*.csv"):
        (target / "part" / path.name).write_text(path.read_text().upper())
    (target / "arguments.json").write_text(json.dumps(arguments))
    return 0


if __name__ == "__main__":
    sys.exit(main())
