"""The rooms of the house: who may import whom, and who may read the environment."""

import ast
import re
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = {
    "fraud": ROOT / "layers/fraud/python/fraud",
    "runtime": ROOT / "layers/runtime/python/runtime",
    "lambdas": ROOT / "lambdas",
    "training": ROOT / "training",
    "infra": ROOT / "infra",
    "ops": ROOT / "ops",
}
ALLOWED = {
    "fraud": {"fraud"},
    "runtime": {"fraud", "runtime"},
    "lambdas": {"fraud", "runtime"},
    "training": {"fraud", "training"},
    "infra": {"fraud", "infra"},
    "ops": {"fraud", "runtime", "lambdas", "training", "infra", "ops"},
}
# What a room may not use, whoever offers it: the domain is pure, and serving carries no data frames.
FORBIDDEN = {
    "fraud": {
        "boto3",
        "botocore",
        "os",
        "time",
        "random",
        "pandas",
        "numpy",
        "xgboost",
        "secrets",
        "socket",
        "uuid",
    },
    "runtime": {"boto3", "pandas", "numpy", "scipy", "xgboost"},
    "lambdas": {"boto3", "pandas", "numpy", "scipy", "xgboost", "os"},
    "training": {"boto3", "botocore"},
    "infra": {"boto3", "botocore"},
    "ops": set(),
}
# Whoever reads the process's environment does so in one place, into one value.
READS_ENVIRONMENT = {
    "layers/runtime/python/runtime/settings.py",
    # Lambda writes the trace of each invocation there.
    "layers/runtime/python/runtime/tracing.py",
    "training/contract.py",
    "ops/deployment.py",
    "ops/localcloud/control.py",
    "ops/localcloud/deploy.py",
    "ops/localcloud/process.py",
    "ops/localcloud/server.py",
}


@cache
def modules(room: str) -> list[tuple[Path, ast.Module]]:
    return [(path, ast.parse(path.read_text(), str(path))) for path in sorted(ROOMS[room].rglob("*.py"))]


@cache
def imported(tree: ast.Module) -> list[str]:
    """Names that a module imports when it runs; imports for type checkers only do not count."""
    checked = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for child in ast.walk(node)
    }
    names: list[str] = []
    for node in ast.walk(tree):
        if id(node) in checked:
            continue
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.append(node.module)
    return names


@pytest.mark.parametrize("room", ROOMS)
def test_imports_run_one_way(room: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path, tree in modules(room)
        for name in imported(tree)
        if name.partition(".")[0] in ROOMS and name.partition(".")[0] not in ALLOWED[room]
    ]
    assert wrong == []


@pytest.mark.parametrize("room", ROOMS)
def test_no_room_uses_what_it_must_do_without(room: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path, tree in modules(room)
        for name in imported(tree)
        if name.partition(".")[0] in FORBIDDEN[room]
    ]
    assert wrong == []


def test_ops_knows_the_environments_but_no_stack() -> None:
    known = {"infra.alarms", "infra.environment", "infra.environments", "infra.slos"}
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path, tree in modules("ops")
        for name in imported(tree)
        if name.startswith("infra") and name not in known
    ]
    assert wrong == []


@pytest.mark.parametrize("part", ["constructs", "workflows"])
def test_what_stacks_are_made_of_knows_no_stack(part: str) -> None:
    trees = [(path, tree) for path, tree in modules("infra") if path.is_relative_to(ROOMS["infra"] / part)]
    assert trees
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path, tree in trees
        for name in imported(tree)
        if name.startswith("infra.stacks")
    ]
    assert wrong == []


def test_types_are_checked_against_every_module_of_the_cdk_that_is_imported() -> None:
    """mypy leaves the others alone, and takes what comes from them for anything."""
    overrides = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]["overrides"]
    [read] = [set(each["module"]) for each in overrides if each.get("follow_imports") == "normal"]
    names = {
        name
        for _, tree in modules("infra")
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module
        for name in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
    }
    found = {name for name in names if re.fullmatch(r"aws_cdk\.[a-z]\w+", name)}
    # An image's repository is asked for rights, and is known by the module of images only.
    assert read == found | {"aws_cdk", "aws_cdk.interfaces.*", "aws_cdk.aws_ecr"}


def test_a_function_imports_no_other_function() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path, tree in modules("lambdas")
        for name in imported(tree)
        if name.startswith("lambdas")
    ]
    assert wrong == []


@pytest.mark.parametrize("room", ROOMS)
def test_the_environment_is_read_in_few_places(room: str) -> None:
    readers = {
        str(path.relative_to(ROOT))
        for path, tree in modules(room)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr in ("environ", "getenv")
        and ast.unparse(node) in ("os.environ", "os.getenv")
    }
    assert readers <= READS_ENVIRONMENT


def test_the_domain_reads_no_clock() -> None:
    clocks = {"datetime.now", "datetime.utcnow", "date.today", "time.time", "time.time_ns", "time.monotonic"}
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path, tree in modules("fraud")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in clocks
    ]
    assert wrong == []


def test_every_function_has_a_handler_that_says_what_it_does() -> None:
    folders = [path for path in ROOMS["lambdas"].iterdir() if path.is_dir() and path.name != "__pycache__"]
    assert len(folders) >= 8
    for folder in folders:
        tree = ast.parse((folder / "handler.py").read_text())
        handler = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "handler")
        assert ast.get_docstring(tree), folder
        assert ast.get_docstring(handler), folder
