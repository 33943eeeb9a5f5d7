"""How long frauds take until they are known, as the last training run measured it."""

from pathlib import Path

import msgspec
from botocore.exceptions import ClientError
from rich.markup import escape
from rich.table import Column, Table

from ops.deployment import Deployment
from ops.labels.errors import MaturityError
from training.maturity import Maturity, days

__all__ = ["latest_run", "maturity_table", "read_maturity", "save_page"]

_PLACE = "dataset/about/maturity"
_LEVELS = ("0.9", "0.95", "0.99")


def latest_run(deployment: Deployment) -> str:
    """The run that measured last.

    Raises
    ------
    MaturityError
        If none has.
    """
    pages = deployment.client("s3").get_paginator("list_objects_v2")
    found = [
        (entry["LastModified"], entry["Key"].split("/")[1])
        for page in pages.paginate(Bucket=deployment["ModelsBucket"], Prefix="runs/")
        for entry in page.get("Contents", [])
        if entry["Key"].endswith(f"/{_PLACE}.json")
    ]
    if not found:
        raise MaturityError(
            "no training run has measured it yet; `paywarden train` does, whatever comes of the run"
        )
    return str(max(found)[1])


def read_maturity(deployment: Deployment, run: str) -> Maturity:
    """What a run measured.

    Raises
    ------
    MaturityError
        If it did not, or another version of the platform wrote it down.
    """
    try:
        return msgspec.json.decode(_read(deployment, run, "json"), type=Maturity)
    except msgspec.DecodeError as error:
        raise MaturityError(
            f"what run {run} measured was written by another version ({error}); train again with this one"
        ) from error


def save_page(deployment: Deployment, run: str, folder: Path) -> Path:
    """Copy a run's page with the curves into a folder.

    Raises
    ------
    MaturityError
        If the run has none.
    """
    content = _read(deployment, run, "html")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "maturity.html"
    path.write_bytes(content)
    return path


def maturity_table(found: Maturity) -> Table:
    """A row for each source and kind of the first report, all of them first."""
    table = Table(
        "first report",
        Column("frauds", justify="right"),
        *(Column(f"{float(level):.0%} known at", justify="right") for level in _LEVELS),
        Column(f"known at {days(found.maturity)}", justify="right"),
    )
    for curve in found.curves:
        table.add_row(
            escape(curve.name),
            f"{curve.frauds:,}",
            *(days(curve.reached[level]) for level in _LEVELS),
            f"{curve.at_maturity:.1%}",
        )
    return table


def _read(deployment: Deployment, run: str, kind: str) -> bytes:
    try:
        stored = deployment.client("s3").get_object(
            Bucket=deployment["ModelsBucket"], Key=f"runs/{run}/{_PLACE}.{kind}"
        )
    except ClientError as error:
        if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
            raise MaturityError(
                f"run {run} did not measure it, or there is no such run; without --run, the last that did is shown"
            ) from error
        raise
    return bytes(stored["Body"].read())
