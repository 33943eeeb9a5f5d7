"""`paywarden labels maturity` over a bucket in memory."""

import io
from pathlib import Path
from typing import Any

import msgspec
import pytest
from botocore.exceptions import ClientError
from rich.console import Console
from typer.testing import CliRunner

from ops.cli import app
from ops.labels import commands
from ops.labels.errors import MaturityError
from training.maturity import Curve, Maturity

DAY = 86_400_000


class Bucket:
    """Objects by key, younger the later they were put; listed two at a time."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def get_object(self, *, Bucket: str, Key: str) -> Any:  # noqa: N803 - AWS's names
        assert Bucket == "ModelsBucket"
        if Key not in self.objects:
            raise ClientError({"Error": {"Code": "NoSuchKey", "Message": Key}}, "GetObject")
        return {"Body": io.BytesIO(self.objects[Key])}

    def get_paginator(self, operation: str) -> "Bucket":
        assert operation == "list_objects_v2"
        return self

    def paginate(self, *, Bucket: str, Prefix: str) -> Any:  # noqa: N803 - AWS's names
        assert (Bucket, Prefix) == ("ModelsBucket", "runs/")
        found = [{"Key": key, "LastModified": at} for at, key in enumerate(self.objects)]
        return [{"Contents": found[start : start + 2]} for start in range(0, len(found), 2)] or [{}]

    def put(self, run: str, found: Maturity) -> None:
        about = f"runs/{run}/dataset/about"
        self.objects[f"{about}/maturity.json"] = msgspec.json.encode(found)
        self.objects[f"{about}/maturity.html"] = f"page of {run}".encode()
        self.objects[f"{about}/checks.json"] = b"{}"


class Desk:
    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket

    def client(self, service: str) -> Bucket:
        assert service == "s3"
        return self.bucket

    def __getitem__(self, name: str) -> str:
        return name


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bucket:
    made = Bucket()
    monkeypatch.setattr(commands, "connect", lambda *_, **__: Desk(made))
    monkeypatch.setattr(commands, "console", Console(stderr=True, width=200))
    monkeypatch.chdir(tmp_path)
    return made


def _curve(name: str, frauds: int, days: int, known: float) -> Curve:
    return Curve(
        name=name,
        frauds=frauds,
        horizon=90 * DAY,
        ages=(DAY, days * DAY),
        shares=(0.5, 1.0),
        naive=(0.6, 1.0),
        reached={"0.5": DAY, "0.9": days * DAY, "0.95": (days + 1) * DAY, "0.99": (days + 2) * DAY},
        at_maturity=known,
    )


def _maturity(sentence: str, *curves: Curve) -> Maturity:
    return Maturity(as_of=1, maturity=7 * DAY, sentence=sentence, enough=True, curves=curves)


def ask(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["labels", "maturity", *arguments])


def test_the_last_run_is_shown_by_source_with_its_sentence_and_its_page(bucket: Bucket) -> None:
    curves = (_curve("all", 1_240, 20, 0.615), _curve("issuer chargeback", 900, 30, 0.444))
    bucket.put("z-first", _maturity("It was fine."))
    bucket.put("a-second", _maturity("That is too short.", *curves))
    done = ask()
    assert done.exit_code == 0, done.output
    told = " ".join(done.stderr.split())
    assert "90% known at" in told
    assert "known at 7 days" in told
    assert "all │ 1,240 │ 20 days │ 21 days │ 22 days │ 61.5%" in told
    assert "issuer chargeback │ 900 │ 30 days │ 31 days │ 32 days │ 44.4%" in told
    assert "a-second: That is too short." in told
    assert Path("build/runs/a-second/maturity.html").read_text() == "page of a-second"
    assert done.stdout == ""


def test_another_run_may_be_asked_for_and_few_frauds_have_no_table(bucket: Bucket) -> None:
    bucket.put("first", _maturity("3 frauds are known."))
    bucket.put("second", _maturity("fine", _curve("all", 40, 3, 1.0)))
    told = ask("--run", "first").stderr
    assert "first: 3 frauds are known." in told
    assert "│" not in told


def test_what_is_not_there_or_cannot_be_read_is_told_with_what_to_do(bucket: Bucket) -> None:
    assert "`paywarden train` does" in str(_error(ask()))
    bucket.put("first", _maturity("fine"))
    assert "run gone did not measure it" in str(_error(ask("--run", "gone")))
    bucket.objects["runs/first/dataset/about/maturity.json"] = b'{"as_of": "soon"}'
    assert "written by another version" in str(_error(ask()))


def _error(done: Any) -> MaturityError:
    assert isinstance(done.exception, MaturityError)
    return done.exception
