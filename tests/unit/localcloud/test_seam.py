"""The seam fits the installed emulator, and says so clearly if it does not."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from ops.localcloud import seam
from ops.localcloud.errors import SeamError
from ops.localcloud.seam import emulator, gateway

PACKAGE = Path(seam.__file__).parent


def test_installed_emulator_fits() -> None:
    seam.check()


def test_pin_and_requirement_agree() -> None:
    requirement = (PACKAGE.parents[2] / "requirements" / "development.in").read_text()
    assert f"ministack=={seam.MINISTACK}\n" in requirement


def test_other_version_is_refused() -> None:
    with pytest.raises(SeamError, match=r"ministack 9\.9\.9 is installed.*make setup"):
        seam.check("9.9.9")


def test_registry_of_another_kind_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulator.app, "SERVICE_HANDLERS", [])
    with pytest.raises(SeamError, match=r"SERVICE_HANDLERS is no longer a dictionary"):
        seam.check()


def test_function_with_other_parameters_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def changed(state: Any) -> Any:
        return state

    monkeypatch.setattr(emulator.stepfunctions, "_execute_task", changed)
    with pytest.raises(SeamError, match=r"_execute_task has the parameters \('state',\)"):
        seam.check()


def test_function_that_is_gone_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(emulator.firehose, "_put_record")
    with pytest.raises(SeamError, match="_put_record"):
        seam.check()


@pytest.mark.parametrize("module", seam._MODULES, ids=lambda module: module.__name__.rpartition(".")[2])
def test_every_private_function_used_is_checked(module: Any) -> None:
    source = Path(module.__file__).read_text()
    modules = "apigateway_v1|app|cloudwatch|dynamodb|eventbridge|firehose|lambda_svc|provisioners|responses"
    modules += "|router|sns|sqs|stepfunctions"
    used = set(re.findall(rf"\b(?:{modules})\.(_\w+)\(", source))
    used |= set(re.findall(rf"^ +(?:{modules})\.(_\w+) = ", source, re.MULTILINE))
    checked = {name for _, name, _ in module.FUNCTIONS} | {"_DeliveryError"}
    assert used <= checked


def test_every_module_of_the_seam_is_checked() -> None:
    names = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__", "emulator"}
    assert {module.__name__.rpartition(".")[2] for module in seam._MODULES} == names


def test_no_other_module_touches_the_emulator() -> None:
    imports = re.compile(r"^\s*(?:from|import)\s+ministack|import_module\(.ministack", re.MULTILINE)
    touching = {path.name for path in PACKAGE.parent.rglob("*.py") if imports.search(path.read_text())}
    assert touching == {"emulator.py"}


def test_answers_of_a_stages_authorizers_are_dropped_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def handle_request(method: str, path: str, headers: Any, body: Any, query_params: Any) -> Any:
        del headers, body, query_params
        asked.append(f"{method} {path}")
        return 200, {}, b"{}"

    def kept(api: str, stage: str) -> tuple[Any, ...]:
        return ("account", "region", api, "authorizer", stage, ("Bearer x",))

    answers = {kept("a", "live"): 1, kept("a", "next"): 2, kept("b", "live"): 3}
    monkeypatch.setattr(emulator.apigateway_v1, "_authorizer_cache", answers)
    monkeypatch.setattr(emulator.apigateway_v1, "handle_request", handle_request)
    gateway.install_authorizer_flush()

    def call(method: str, path: str) -> int:
        answer = asyncio.run(emulator.apigateway_v1.handle_request(method, path, {}, b"", {}))
        return int(answer[0])

    assert call("DELETE", "/restapis/a/stages/live/cache/authorizers") == 202
    assert list(answers.values()) == [2, 3]
    assert call("GET", "/restapis/a/stages/next/cache/authorizers") == 200
    assert call("DELETE", "/restapis/a/stages/next") == 200
    assert len(asked) == 2
    assert list(answers.values()) == [2, 3]
