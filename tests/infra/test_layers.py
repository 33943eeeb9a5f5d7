"""Layers and function folders: their names follow their contents, and nothing is missing in them."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import botocore
import pytest

from infra.constructs.serving import INITIAL_DOCUMENT
from infra.environment import Architecture
from infra.environments import ENVIRONMENTS, LOCAL
from infra.layers import LAYERS, function_bundle, layer_bundle
from infra.layers.bundle import MissingBundleError, compile_tree, copy_python, digest_tree
from infra.layers.vendor import build_vendor, vendor_folder
from tests.unpacked import unpacked_size

ROOT = Path(__file__).resolve().parents[2]
# Lambda takes 250 MB; the less there is, the sooner a cold start has fetched it.
MOST_BYTES = 60 * 1024 * 1024
FUNCTIONS = sorted(each.parent.name for each in (ROOT / "lambdas").glob("*/handler.py"))
ARCHITECTURES = sorted({each.architecture for each in ENVIRONMENTS.values()})


def _repository(root: Path) -> Path:
    """A repository of one function and one layer."""
    for folder, name in (("lambdas/greet_caller", "handler.py"), ("layers/fraud/python/fraud", "__init__.py")):
        path = root / folder
        path.mkdir(parents=True)
        (path / name).write_text("GREETINGS = {'hello', 'good day', 'welcome'}\n")
    return root


def _digest(root: Path) -> str:
    # The cache is per process and root; here the same root changes under it.
    function_bundle.cache_clear()
    return function_bundle("greet_caller", root=root).digest


def test_building_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    first = function_bundle("greet_caller", root=_repository(tmp_path / "one"))
    second = function_bundle("greet_caller", root=_repository(tmp_path / "two"))
    assert first.path != second.path
    assert first.digest == second.digest == digest_tree(second.path)


def test_times_and_caches_do_not_change_the_digest(tmp_path: Path) -> None:
    root = _repository(tmp_path)
    before = _digest(root)
    handler = root / "lambdas/greet_caller/handler.py"
    os.utime(handler, (time.time() - 10_000, time.time() - 10_000))
    (handler.parent / "__pycache__").mkdir()
    (handler.parent / "__pycache__" / "handler.cpython-313.pyc").write_bytes(b"stale")
    (handler.parent / "test_handler.py").write_text("assert True\n")
    assert _digest(root) == before


def test_every_byte_and_every_place_counts(tmp_path: Path) -> None:
    root = _repository(tmp_path)
    handler = root / "lambdas/greet_caller/handler.py"
    seen = {_digest(root)}
    handler.write_text(handler.read_text().replace("hello", "hallo"))
    seen.add(_digest(root))
    handler.rename(handler.with_name("other.py"))
    seen.add(_digest(root))
    (handler.parent / "data.json").write_text("{}")
    seen.add(_digest(root))
    assert len(seen) == 4


def test_bytecode_is_compiled_and_does_not_look_at_the_source(tmp_path: Path) -> None:
    bundle = function_bundle("greet_caller", root=_repository(tmp_path))
    (compiled,) = bundle.path.rglob("*.pyc")
    flags = int.from_bytes(compiled.read_bytes()[4:8], "little")
    assert flags == 0b01, "hash-based, unchecked"
    assert b"/var/task/greet_caller/handler.py" in compiled.read_bytes()


def test_a_syntax_error_stops_the_build(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def (:\n")
    with pytest.raises(RuntimeError, match="bytecode was not compiled"):
        compile_tree(tmp_path, runtime_root="/opt")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingBundleError, match="nowhere"):
        copy_python(tmp_path / "nowhere", tmp_path / "target")


def test_a_vendor_layer_that_cannot_be_built_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "vendor.txt").write_text("paywarden-no-such-thing==1\n")
    with pytest.raises(MissingBundleError, match="run `make setup` once with a network"):
        build_vendor(root=tmp_path, architecture="arm64", uv=Path(sys.executable).with_name("uv"))
    assert not list((tmp_path / "build").rglob("vendor-*/python")), "nothing half built is left"


def test_the_vendor_layer_is_named_after_its_requirements(tmp_path: Path) -> None:
    (tmp_path / "requirements").mkdir()
    requirements = tmp_path / "requirements" / "vendor.txt"
    requirements.write_text("one==1\n")
    before = vendor_folder(root=tmp_path, architecture="arm64")
    os.utime(requirements, (0, 0))
    assert vendor_folder(root=tmp_path, architecture="arm64") == before
    requirements.write_text("one==2\n")
    assert vendor_folder(root=tmp_path, architecture="arm64") != before


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_vendor_layer_holds_what_serving_needs_and_no_more(architecture: Architecture) -> None:
    python = layer_bundle("vendor", architecture=architecture).path / "python"
    assert (python / "xgboost" / "lib" / "libxgboost.so").is_file()
    assert list((python / "xgboost_cpu.libs").glob("libgomp-*"))
    assert not list((python / "xgboost").rglob("*.py")), "they cannot be imported without numpy"
    assert [each.name.partition(".")[0] for each in (python / "cel").iterdir()] == ["cel"], "the engine alone"
    for unwanted in ("numpy", "scipy", "bin", "typer", "rich", "prompt_toolkit", "pygments", "lark/tools"):
        assert not (python / unwanted).exists()
    names = {each.name for each in python.rglob("*")}
    assert not names & {"tests", "py.typed", "RECORD"}
    assert not any(name.endswith(".pyi") for name in names)
    machine = (python / "xgboost" / "lib" / "libxgboost.so").read_bytes()[18:20]
    assert int.from_bytes(machine, "little") == {"x86_64": 0x3E, "arm64": 0xB7}[architecture]
    for extension in python.rglob("*.so"):
        assert int.from_bytes(extension.read_bytes()[18:20], "little") == int.from_bytes(machine, "little")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("verb_noun", FUNCTIONS)
def test_function_and_layers_fit_into_lambda(
    verb_noun: str, architecture: Architecture, record_property: Callable[[str, object], None]
) -> None:
    sizes = {name: unpacked_size(layer_bundle(name, architecture=architecture).path) for name in LAYERS}
    sizes["function"] = unpacked_size(function_bundle(verb_noun).path)
    record_property("unpacked bytes", json.dumps(sizes))
    assert all(sizes.values())
    assert sum(sizes.values()) <= MOST_BYTES, sizes


# What the Lambda runtime has by itself: the AWS SDK and what that needs.
_RUNTIME_HAS = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six.py")

_IMPORT = """
import importlib, json, sys
path, name = json.loads(sys.argv[1]), sys.argv[2]
standard = list(sys.path)
sys.path[:] = [*path, *standard]
import botocore.client, io
# A handler may read a secret and the serving document while it starts: here the first of each.
botocore.client.BaseClient._make_api_call = lambda self, operation, parameters: {
    "GetSecretValue": {"SecretString": "0" * 32},
    "StartConfigurationSession": {"InitialConfigurationToken": "first"},
    "GetLatestConfiguration": {
        "NextPollConfigurationToken": "next", "Configuration": io.BytesIO(sys.argv[3].encode())
    },
}[operation]
module = importlib.import_module(f"{name}.handler")
assert callable(module.handler)
foreign = sorted(
    file for each in list(sys.modules.values())
    if (file := getattr(each, "__file__", None)) and not file.startswith(tuple(path) + tuple(standard))
)
assert not foreign, foreign
"""


_SETTINGS = (
    *("MERCHANTS_TABLE", "FEATURES_TABLE", "DECISIONS_TABLE", "MODELS_BUCKET", "LAKE_BUCKET", "EVENT_BUS"),
    *("APPCONFIG_APPLICATION", "APPCONFIG_ENVIRONMENT", "APPCONFIG_PROFILE", "APPCONFIG_STRATEGY"),
    *("CONFIG_REFRESH_SECONDS", "TOKEN_SECRET", "POWERTOOLS_SERVICE_NAME", "POWERTOOLS_METRICS_NAMESPACE"),
    *("KEY_SECRET", "SETTINGS_TABLE", "STORE_PATIENCE_MS", "ATHENA_WORKGROUP", "GLUE_DATABASE"),
    *("RELEASES_TABLE", "MODEL_PACKAGE_GROUP", "TRAINING_IMAGE", "ALARM_TOPIC", "ROLLBACK_ALARMS"),
    *("AUDIT_TABLE", "AUDIT_BUCKET", "TOKEN_KEYS_BUCKET", "TOKEN_REFRESH_SECONDS"),
    *("RETRAIN_STATE_MACHINE", "APPCONFIG_KEY"),
)


@pytest.fixture(scope="module")
def lambda_runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    site = Path(botocore.__file__).resolve().parents[1]
    folder = tmp_path_factory.mktemp("lambda-runtime")
    for name in _RUNTIME_HAS:
        if (site / name).exists():
            (folder / name).symlink_to(site / name)
    return folder


@pytest.mark.parametrize("verb_noun", FUNCTIONS)
def test_a_handler_imports_from_its_folder_and_its_layers_alone(verb_noun: str, lambda_runtime: Path) -> None:
    layers = [str(layer_bundle(name, architecture=LOCAL.architecture).path / "python") for name in LAYERS]
    path = [str(function_bundle(verb_noun).path), *layers, str(lambda_runtime)]
    variables = dict.fromkeys(_SETTINGS, "1")
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _IMPORT, json.dumps(path), verb_noun, json.dumps(INITIAL_DOCUMENT)],
        env={
            **variables,
            "REPLAY_TIME": "false",
            "RUN_POLICY": "{}",
            "LOOSE_RUNS": "false",
            "ENVIRONMENT": "test",
            "AWS_DEFAULT_REGION": "eu-west-1",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_missing_dependency_is_found(lambda_runtime: Path) -> None:
    path = [str(function_bundle("authorize_merchant").path), str(lambda_runtime)]
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _IMPORT, json.dumps(path), "authorize_merchant", "{}"],
        env={},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode != 0
    assert "ModuleNotFoundError" in done.stderr


def test_the_engine_of_the_rules_loads_from_the_layers_alone() -> None:
    path = [str(layer_bundle(name, architecture=LOCAL.architecture).path / "python") for name in LAYERS]
    program = (
        "import json, sys; sys.path[:0] = json.loads(sys.argv[1])\n"
        "from fraud.rules.engine import engine\n"
        "assert engine().compile('a > 1.0').execute(engine().Context({'a': 2.0})) is True"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, json.dumps(path)],
        env={},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


def test_the_model_library_loads_from_the_layer_alone() -> None:
    library = layer_bundle("vendor", architecture=LOCAL.architecture).path / "python/xgboost/lib/libxgboost.so"
    program = "import ctypes, sys; ctypes.CDLL(sys.argv[1]).XGBoostVersion"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, str(library)],
        env={},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
