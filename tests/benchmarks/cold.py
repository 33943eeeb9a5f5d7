"""Cold starts: fresh processes that import the handler and load the first model, beside the usual full stack.

All of them find compiled bytecode. The full stack is Powertools with tracer and validating event handler, boto3
with a resource, and xgboost with the same model; its size is that of these packages with all that they require.
"""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from shutil import copyfile
from statistics import median
from tempfile import TemporaryDirectory

from packaging.requirements import Requirement

from infra.layers.bundle import compile_tree
from tests.benchmarks.results import Row, limit, measured
from tests.benchmarks.setting import APPROVES, lambda_path, listening, setting
from tests.unpacked import unpacked_size

__all__ = ["cold_rows"]

ROUNDS = 15
MOST_MS = 200
MOST_MB = 60
# 200 ms against the 506 ms of the full stack.
FULL_GOAL = 2.53
FULL = ("aws-lambda-powertools[all]", "boto3", "xgboost-cpu")

_PATH = "import os, sys; sys.path[:0] = os.environ['FOUND'].split(os.pathsep); "
# What an interpreter does when it ends is no part of a start.
_END = "\nos._exit(0)"
_BARE = _PATH + _END
_OURS = _PATH + "import score_transaction.handler as started; assert started.models.current().models" + _END
_FULL = (
    _PATH
    + """
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.event_handler import APIGatewayRestResolver
logger, metrics, tracer = Logger(), Metrics(), Tracer()
app = APIGatewayRestResolver(enable_validation=True)
import boto3
table = boto3.resource("dynamodb").Table("decisions")
model = boto3.client("s3").get_object(Bucket="models", Key="bundles/run-1/model.ubj")["Body"].read()
from xgboost import Booster
booster = Booster(model_file=bytearray(model))
"""
    + _END
)


def cold_rows() -> Iterator[Row]:
    """Every row about cold starts and sizes."""
    at = setting()
    with listening(at, APPROVES) as environment, TemporaryDirectory() as name:
        _full_stack(Path(name))
        works = {
            "bare": (_BARE, environment | {"FOUND": ""}),
            "ours": (_OURS, environment | {"FOUND": os.pathsep.join(lambda_path())}),
            "full": (_FULL, environment | {"FOUND": name}),
        }
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
        for number in range(ROUNDS + 1):
            for name, work in works.items():
                found = _started(*work)
                if number:  # the first ones read from disk, and compile what was not yet
                    taken[name].append(found)
        full_size = _megabytes(Path(works["full"][1]["FOUND"]))
    wall, spent = ({name: median(each[n] for each in times) for name, times in taken.items()} for n in (0, 1))
    work = f"handler imported and its model loaded, above a bare interpreter; median of {ROUNDS} fresh processes"
    yield limit("cold start", work, wall["ours"] - wall["bare"], "ms", MOST_MS)
    ours, full = spent["ours"] - spent["bare"], spent["full"] - spent["bare"]
    ratio = full / ours
    name = "cold start, processor time"
    yield Row(name, work, ours, "ms", "full stack", "", full, ratio, FULL_GOAL, ratio >= FULL_GOAL)
    yield measured("cold start, a bare interpreter", "started and ended", wall["bare"], "ms")
    ours_size = sum(map(_megabytes, map(Path, lambda_path()[:-1])))
    yield limit("function and layers, unpacked", "with bytecode, of this processor", ours_size, "MB", MOST_MB)
    work = f"{', '.join(FULL)} and what they require, with bytecode"
    yield Row(
        "unpacked, against the full stack",
        work,
        ours_size,
        "MB",
        "full stack",
        "",
        full_size,
        full_size / ours_size,
    )


def _started(program: str, environment: Mapping[str, str]) -> tuple[float, float]:
    """How long a fresh process took, in ms: by the clock, and on the processor."""
    before, begun = _spent(), time.perf_counter()
    subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], env=dict(environment), stdout=subprocess.DEVNULL, check=True
    )
    wall = time.perf_counter() - begun
    return wall * 1e3, (_spent() - before) * 1e3


def _spent() -> float:
    """Seconds of processor time of all processes that were started here and have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _megabytes(folder: Path) -> float:
    # Of a layer its root, which holds `python/`.
    return unpacked_size(folder) / 1024**2


def _full_stack(root: Path) -> None:
    """Install the full stack into a folder, from what is installed here."""
    for each in _required():
        for file in each.files or ():
            source = Path(str(each.locate_file(file)))
            if ".." in file.parts or "__pycache__" in file.parts or not source.is_file():
                continue
            target = root / file
            target.parent.mkdir(parents=True, exist_ok=True)
            copyfile(source, target)
    compile_tree(root, runtime_root="/opt")


def _required() -> list[Distribution]:
    """The distributions of the full stack, each once."""
    found: dict[str, Distribution] = {}
    waiting = [(Requirement(each), "") for each in FULL]
    seen: set[tuple[str, str]] = set()
    while waiting:
        wanted, extra = waiting.pop()
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": extra}):
            continue
        try:
            there = distribution(wanted.name)
        except PackageNotFoundError:
            continue  # of an extra that nothing here asks for
        found[there.name] = there
        for each in wanted.extras or {""}:
            if (there.name, each) not in seen:
                seen.add((there.name, each))
                waiting += [(Requirement(line), each) for line in there.requires or ()]
        if wanted.extras and (there.name, "") not in seen:
            seen.add((there.name, ""))
            waiting += [(Requirement(line), "") for line in there.requires or ()]
    return list(found.values())
