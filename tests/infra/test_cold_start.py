"""What a cold start of score_transaction imports: nothing heavy, and no part of it more than its share.

Times are processor time, and count as multiples of what importing the SDK takes in the same process, which the
function cannot do without: a slow or a busy machine changes nothing.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import botocore
import pytest

from infra.constructs.serving import INITIAL_DOCUMENT
from infra.environments import LOCAL
from infra.layers import LAYERS, function_bundle, layer_bundle

CEILINGS = {
    "msgspec": 0.1,
    "runtime.telemetry": 0.2,
    "fraud.features": 0.3,
    "runtime.booster": 0.1,
    "runtime.clients": 0.15,
    "score_transaction.scoring": 0.4,
    "score_transaction.handler": 1.3,
}
"""The most that an import may take, as a multiple of the SDK's. They are made in this order, so that each is told
only what it adds; the handler makes its clients and looks for its model. Twice what was measured, and more."""

MOST_MODULES = 550
"""450 were measured, 300 of them the interpreter's and the SDK's."""

TOO_HEAVY = (
    "asyncio",
    "aws_lambda_powertools.event_handler",
    "aws_xray_sdk",
    "boto3",
    "fraud.rules.check",
    "lark",
    "numpy",
    "pandas",
    "pydantic",
    "rich",
    "scipy",
    "typer",
    "wrapt",
    "xgboost",
)
ROUNDS = 3

_START = """
import importlib, io, json, sys, time
asked = json.loads(sys.argv[1])
sys.path[:0] = asked["path"]

def took(name):
    begun = time.process_time()
    importlib.import_module(name)
    return time.process_time() - begun

sdk = took("botocore.session") + took("botocore.client")
botocore = sys.modules["botocore.client"]
botocore.BaseClient._make_api_call = lambda self, operation, parameters: {
    "GetSecretValue": {"SecretString": "0" * 32},
    "StartConfigurationSession": {"InitialConfigurationToken": "first"},
    "GetLatestConfiguration": {
        "NextPollConfigurationToken": "next", "Configuration": io.BytesIO(asked["document"].encode())
    },
}[operation]
taken = {name: took(name) / sdk for name in asked["imports"]}
print(json.dumps({"taken": taken, "modules": sorted(sys.modules)}))
"""

_TEXTS = (
    *("FEATURES_TABLE", "SETTINGS_TABLE", "DECISIONS_TABLE", "MODELS_BUCKET", "TOKEN_SECRET"),
    *("TOKEN_KEYS_BUCKET", "TOKEN_REFRESH_SECONDS"),
    *("APPCONFIG_APPLICATION", "APPCONFIG_ENVIRONMENT", "APPCONFIG_PROFILE"),
    *("POWERTOOLS_SERVICE_NAME", "POWERTOOLS_METRICS_NAMESPACE"),
    *("CONFIG_REFRESH_SECONDS", "STORE_PATIENCE_MS"),
)


@dataclass(frozen=True)
class Start:
    """The least multiple that each import took in some starts, and the modules that were there after one."""

    taken: dict[str, float]
    modules: set[str]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Start:
    """Fresh processes that start the function from its folder, its layers and the runtime's SDK."""
    runtime = tmp_path_factory.mktemp("runtime")
    site = Path(botocore.__file__).resolve().parents[1]
    for name in ("botocore", "jmespath", "dateutil", "urllib3", "six.py"):
        (runtime / name).symlink_to(site / name)
    layers = [layer_bundle(name, architecture=LOCAL.architecture).path / "python" for name in LAYERS]
    path = [function_bundle("score_transaction").path, *layers, runtime]
    asked = {"path": list(map(str, path)), "imports": list(CEILINGS), "document": json.dumps(INITIAL_DOCUMENT)}
    environment = dict.fromkeys(_TEXTS, "1") | {
        "ENVIRONMENT": "test",
        "REPLAY_TIME": "false",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }
    found = []
    for _ in range(ROUNDS):
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _START, json.dumps(asked)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        found.append(json.loads(done.stdout))
    return Start({name: min(each["taken"][name] for each in found) for name in CEILINGS}, set(found[0]["modules"]))


@pytest.mark.parametrize("name", CEILINGS)
def test_no_import_takes_more_than_its_share(name: str, start: Start) -> None:
    assert start.taken[name] <= CEILINGS[name], start.taken


@pytest.mark.parametrize("name", TOO_HEAVY)
def test_nothing_heavy_is_imported(name: str, start: Start) -> None:
    assert name not in start.modules


def test_there_are_few_modules(start: Start) -> None:
    assert "score_transaction.handler" in start.modules
    assert len(start.modules) <= MOST_MODULES
