"""What the runtime does when the network, the library or the environment fails it half-way."""

import gc
import io
from typing import Any

import msgspec
import pytest

from fraud.policy import Policy, Thresholds
from fraud.serving import Serving
from runtime import booster as boosters
from runtime.booster import Booster, BoosterError
from runtime.configuration import Profile, Refresher, ServingReader

PROFILE = Profile("app1234", "env1234", "pro1234")
DOCUMENT = Serving(
    policy=Policy(version="p1", thresholds=Thresholds(challenge=0.2, review=0.5, decline=0.8)), champion="run-1"
)


class CutOff(io.BytesIO):
    """A body whose connection ends before it does."""

    def read(self, size: int | None = -1, /) -> bytes:
        raise ConnectionError(f"cut off before {size} bytes")


class DataPlane:
    """AppConfig's data plane: what a session was handed, it is not handed again."""

    def __init__(self) -> None:
        self.cuts = 0
        self.sessions: dict[str, bool] = {}
        self.made = 0

    def start_configuration_session(self, **names: str) -> dict[str, str]:
        assert names == {
            "ApplicationIdentifier": "app1234",
            "EnvironmentIdentifier": "env1234",
            "ConfigurationProfileIdentifier": "pro1234",
        }
        return {"InitialConfigurationToken": self._token(handed=False)}

    def get_latest_configuration(self, *, ConfigurationToken: str) -> dict[str, Any]:  # noqa: N803 - AWS's name
        handed = self.sessions.pop(ConfigurationToken)
        body = io.BytesIO(b"" if handed else msgspec.json.encode(DOCUMENT))
        if self.cuts:
            self.cuts -= 1
            body = CutOff()
        return {"NextPollConfigurationToken": self._token(handed=True), "Configuration": body}

    def _token(self, *, handed: bool) -> str:
        self.made += 1
        self.sessions[f"token-{self.made}"] = handed
        return f"token-{self.made}"


@pytest.mark.parametrize("cuts", [1, 3])
def test_a_document_that_was_cut_off_is_not_lost(cuts: int) -> None:
    plane = DataPlane()
    plane.cuts = cuts
    reader = ServingReader(plane, PROFILE)  # type: ignore[arg-type]
    for _ in range(cuts):
        with pytest.raises(ConnectionError):
            reader.poll()
    assert reader.poll() == DOCUMENT
    assert reader.poll() is None


def test_a_task_runs_again_once_it_is_due_and_not_before() -> None:
    runs: list[int] = []

    def task() -> None:
        runs.append(len(runs))

    refresher = Refresher(task, interval=10.0)
    for now in (0.0, 1.0, 9.9):
        refresher.nudge(now)
        _joined(refresher)
    assert runs == [0]
    refresher.nudge(10.0)
    _joined(refresher)
    assert runs == [0, 1]


def _joined(refresher: Refresher) -> None:
    assert refresher._running is not None
    refresher._running.join(timeout=10)
    assert not refresher._running.is_alive()


def test_without_its_library_a_booster_is_one_error_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    # Warnings are errors here: an exception in `__del__` would fail the test too.
    boosters._library.cache_clear()
    monkeypatch.setattr(boosters.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(BoosterError, match="xgboost-cpu"):
        Booster(b"model", 1)
    gc.collect()
    boosters._library.cache_clear()


def test_boosters_come_and_go() -> None:
    """Hundreds of refused models: each handle is freed once, and the process goes on."""
    for _ in range(300):
        with pytest.raises(BoosterError):
            Booster(b"no model", 3)
    gc.collect()
