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
    if mode in {"hosts", "one-host-fails", "rounds"}:
        return {"hosts": hosts, "one-host-fails": one_host_fails, "rounds": rounds}[mode](config)
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


def hosts(config: Path) -> int:
    """Every host leaves in its checkpoints what it was given."""
    told = json.loads((config / "resourceconfig.json").read_text())
    files = sorted(path.name for path in (ROOT / "input" / "data" / "dataset").rglob("*.csv"))
    place = ROOT / "checkpoints" / f"{told['current_host']}.json"
    place.write_text(json.dumps(told | {"files": files}))
    (ROOT / "model" / "host").write_text(told["current_host"])
    return 0


def one_host_fails(config: Path) -> int:
    if json.loads((config / "resourceconfig.json").read_text())["current_host"] != "127.0.0.2":
        time.sleep(300)
    (ROOT / "output" / "failure").write_text("out of memory")
    return 9


def rounds(config: Path) -> int:
    """Count to a number, with a checkpoint after each round, going on where the last one was left."""
    given = json.loads((config / "hyperparameters.json").read_text())
    checkpoint = ROOT / "checkpoints" / "round"
    first = int(checkpoint.read_text()) if checkpoint.exists() else 0
    for done in range(first + 1, int(given["rounds"]) + 1):
        time.sleep(0.1)
        fresh = checkpoint.with_suffix(".new")
        fresh.write_text(str(done))
        fresh.replace(checkpoint)
        if done == int(given.get("fails_at", -1)):
            return 1
    (ROOT / "model" / "began").write_text(str(first))
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
