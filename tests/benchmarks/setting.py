"""What the benchmarks of whole decisions decide on: a generated world's states, payments to come, and a model."""

import base64
import json
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import botocore
import msgspec
import numpy as np
import numpy.typing as npt
import xgboost as xgb

from fraud.bundle import Lineage, Manifest, digest
from fraud.calibration import Calibration
from fraud.events import Event, Label, Transaction
from fraud.features import STANDARD
from fraud.lists import ListDefinition, StoredLists
from fraud.policy import Policy, Thresholds
from fraud.rules.check import check_rules
from fraud.rules.documents import Rule, StoredRules
from fraud.serving import Serving
from fraud.tokens import Tokeniser
from infra.layers import LAYERS, function_bundle, layer_bundle
from ops.inputs.requests import decision_body
from tests.benchmarks.loopback import served
from tests.benchmarks.online import WORLD_ROWS, Warm, warm
from tests.benchmarks.worlds import events
from training.engines.events import table_of
from training.engines.vectorised import compute

__all__ = ["APPROVES", "DECLINES", "Setting", "decided", "lambda_path", "listening", "setting", "settings_items"]

# A known key that opens nothing.
SECRET = "a token key of the benchmarks, of 32 bytes"  # noqa: S105 - opens nothing: AWS is a server of the benchmark
VERSION = "run-1"
TREES, DEPTH = 500, 6
PAYMENTS = 500
REGION = "eu-west-1"

# Whatever the score is: approved by the one, and so without reasons; declined by the other.
APPROVES = Policy(version="approves", thresholds=Thresholds(challenge=1.0, review=1.0, decline=1.0))
DECLINES = Policy(version="declines", thresholds=Thresholds(challenge=0.0, review=0.0, decline=0.0))


@dataclass(frozen=True)
class Setting:
    """States, payments, and a model that was trained on the payments before them.

    Attributes
    ----------
    requests : list of dict
        As API Gateway passes them on, in the order of `at.payments`.
    model : bytes
        500 trees of depth 6.
    """

    at: Warm
    requests: list[dict[str, Any]]
    booster: xgb.Booster
    manifest: Manifest
    model: bytes


@cache
def setting() -> Setting:
    """The world of the online benchmarks, with tokens for what identifies people."""
    raw = events(WORLD_ROWS)
    tokeniser = Tokeniser(SECRET.encode())
    history = [_tokenised(each, tokeniser) for each in raw]
    at = warm(history)
    sent = {each.event_id: each for each in raw if isinstance(each, Transaction)}
    at = Warm(at.packed, at.payments[:PAYMENTS])
    booster = _trained(history[: len(history) * 9 // 10])
    model = bytes(booster.save_raw("ubj"))
    manifest = Manifest(
        version=VERSION,
        created_at=0,
        features=STANDARD.names,
        feature_set=STANDARD.version,
        calibration=Calibration(a=1.0, b=0.0),
        metrics={},
        lineage=Lineage(run_id=VERSION, dataset="", parameters={}, code_version=""),
        files={"model.ubj": digest(model)},
        xgboost=xgb.__version__,
    )
    return Setting(at, [_request(sent[each.event_id]) for each in at.payments], booster, manifest, model)


@contextmanager
def listening(of: Setting, policy: Policy, *, tables: Mapping[str, Any] | None = None) -> Iterator[dict[str, str]]:
    """A loopback AWS that holds the setting; gives the environment that a function finds it by."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "model.ubj").write_bytes(of.model)
        (folder / "manifest.json").write_bytes(msgspec.json.encode(of.manifest))
        held = {
            "tables": {
                "features": {
                    f"s1#{key}": _state_item(f"s1#{key}", packed) for key, packed in of.at.packed.items()
                },
                **(tables or {}),
            },
            "secret": SECRET,
            "document": msgspec.json.encode(Serving(policy=policy, champion=VERSION)).decode(),
            "files": {
                f"models/bundles/{VERSION}/{each}": str(folder / each) for each in ("model.ubj", "manifest.json")
            },
        }
        with served(held, folder) as port:
            yield _environment(port)


def decided(
    of: Setting,
    policy: Policy,
    *,
    calls: int,
    tables: Mapping[str, Any] | None = None,
    phases: bool = False,
    program: str = "decider.py",
    module: str = "score_transaction.handler",
    path: Sequence[str] | None = None,
    variables: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Decide in a process like Lambda's, and return what it told.

    Parameters
    ----------
    tables : mapping, optional
        Further tables, as `tests.benchmarks.loopback` holds them.
    module, path : optional
        Another handler than ours, and where to import it from.
    variables : mapping of str to str, optional
        Further variables of its environment.
    """
    with TemporaryDirectory() as folder, listening(of, policy, tables=tables) as environment:
        asked, out = Path(folder) / "asked.json", Path(folder) / "out.json"
        asked.write_text(
            json.dumps(
                {
                    "path": list(path or lambda_path()),
                    "environment": {**environment, **(variables or {})},
                    "module": module,
                    "events": [json.dumps(each) for each in of.requests],
                    "calls": calls,
                    "phases": phases,
                }
            )
        )
        done = subprocess.run(
            [sys.executable, "-I", "-S", str(Path(__file__).parent / program), str(asked), str(out)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{program} failed: {done.stderr.strip()[-500:]}")
        found: dict[str, Any] = json.loads(out.read_text())
        return found


@cache
def lambda_path() -> tuple[str, ...]:
    """What the function finds its code in: its folder, the layers, and the SDK of the runtime."""
    machine = "x86_64" if platform.machine() == "x86_64" else "arm64"
    layers = [str(layer_bundle(name, architecture=machine).path / "python") for name in LAYERS]
    return str(function_bundle("score_transaction").path), *layers, str(Path(botocore.__file__).parents[1])


def settings_items() -> dict[str, Any]:
    """The settings table: twenty rules that seldom match and two lists, of every merchant."""
    conditions = [
        'count(card, "1h") > 500 && amount > 100000',
        'count(device, "24h") > 800',
        "issuer_country != billing_country && amount > 9000000",
        'score > 0.9999 && count(ip, "1h") > 50',
        'mcc == "7995" && count(card, "24h") > 90',
    ]
    rules = check_rules(
        [
            Rule(id=f"rule-{number}", when=conditions[number % len(conditions)], action="review", priority=number)
            for number in range(20)
        ],
        STANDARD,
    )
    stored = StoredRules(version=1, mode="all_matches", rules=rules, changed_at=0, changed_by="key:k1")
    lists = StoredLists(
        version=1,
        lists=(
            ListDefinition(name="bad-cards", field="card", action="block"),
            ListDefinition(name="trusted", field="customer", action="allow"),
        ),
        changed_at=0,
        changed_by="key:k1",
    )
    items = {}
    for merchant in ("aurora", "meridian"):
        for part, document in (("rules", stored), ("lists", lists)):
            items[f"merchant#{merchant}\n{part}"] = {
                "id": {"S": f"merchant#{merchant}"},
                "part": {"S": part},
                "version": {"N": "1"},
                "changed_at": {"N": "0"},
                "changed_by": {"S": "key:k1"},
                "document": {"S": msgspec.json.encode(document).decode()},
            }
    return {"settings": items}


def _tokenised(event: Event, tokeniser: Tokeniser) -> Event:
    if isinstance(event, Transaction):
        return tokeniser.apply(event)
    return msgspec.structs.replace(event, transaction=tokeniser.apply(event.transaction))


def _trained(history: Sequence[Event]) -> xgb.Booster:
    frauds = {each.transaction.event_id for each in history if isinstance(each, Label) and each.is_fraud}
    paid = [each for each in history if isinstance(each, Transaction)]
    vectors = compute(table_of(history), STANDARD)
    labels: npt.NDArray[np.bool_] = np.array([each.event_id in frauds for each in paid])
    data = xgb.DMatrix(vectors, label=labels, feature_names=list(STANDARD.names))
    wanted = {"max_depth": DEPTH, "objective": "binary:logistic", "eta": 0.05, "seed": 7}
    return xgb.train(wanted, data, TREES)


def _state_item(name: str, packed: bytes) -> dict[str, Any]:
    return {"key": {"S": name}, "state": {"B": base64.b64encode(packed).decode()}, "version": {"N": "7"}}


def _request(payment: Transaction) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((Path(__file__).parents[1] / "events/decision_request.json").read_text())
    event["body"] = json.dumps(decision_body(payment))
    event["headers"]["Paywarden-Replay-Time"] = str(payment.event_time)
    event["requestContext"]["authorizer"]["merchant_id"] = payment.merchant_id
    return event


def _environment(port: int) -> dict[str, str]:
    return {
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "benchmark",
        "AWS_SECRET_ACCESS_KEY": "benchmark",
        "AWS_SESSION_TOKEN": "benchmark" * 40,
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_LAMBDA_FUNCTION_NAME": "score_transaction",
        "ENVIRONMENT": "bench",
        "POWERTOOLS_SERVICE_NAME": "score_transaction",
        "POWERTOOLS_METRICS_NAMESPACE": "Paywarden",
        "POWERTOOLS_LOG_LEVEL": "INFO",
        "FEATURES_TABLE": "features",
        "SETTINGS_TABLE": "settings",
        "DECISIONS_TABLE": "decisions",
        "MODELS_BUCKET": "models",
        "TOKEN_SECRET": "token-key",
        "TOKEN_KEYS_BUCKET": "token-keys",
        "TOKEN_REFRESH_SECONDS": "300",
        "APPCONFIG_APPLICATION": "app1234",
        "APPCONFIG_ENVIRONMENT": "env1234",
        "APPCONFIG_PROFILE": "pro1234",
        "REPLAY_TIME": "true",
        "CONFIG_REFRESH_SECONDS": "30",
        "STORE_PATIENCE_MS": "5000",
    }
