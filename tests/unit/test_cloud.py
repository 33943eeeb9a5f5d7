"""The local cloud of a run: its own ends whatever happens, and one that was there before stays."""

import pytest

from tests import cloud


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was done to local clouds; nothing really is."""
    done: list[str] = []
    monkeypatch.setattr(cloud, "free_port", lambda: 7)
    monkeypatch.setattr(cloud.control, "up", lambda port: done.append(f"up {port}"))
    monkeypatch.setattr(cloud.control, "down", lambda port: done.append(f"down {port}"))
    monkeypatch.setattr(cloud, "bootstrap_and_deploy", lambda port: done.append(f"deploy {port}"))
    monkeypatch.setattr(cloud, "connect", lambda environment, port: f"{environment} {port}")
    return done


def test_a_cloud_of_its_own_ends_with_the_block_that_fails(done: list[str]) -> None:
    def broken() -> None:
        with cloud.deployed(say=done.append) as found:
            raise ValueError(f"broken: {found}")

    with pytest.raises(ValueError, match="broken: local 7"):
        broken()
    assert done == ["up 7", "deploying to a local cloud on port 7", "deploy 7", "down 7"]


def test_a_deployment_that_fails_leaves_nothing_running(done: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(port: int) -> None:
        raise ValueError(f"no stack on {port}")

    monkeypatch.setattr(cloud, "bootstrap_and_deploy", fail)
    with pytest.raises(ValueError, match="no stack on 7"), cloud.deployed():
        raise AssertionError("never entered")
    assert done == ["up 7", "down 7"]


def test_a_cloud_that_was_there_is_used_and_left_running(done: list[str]) -> None:
    with cloud.deployed(4566, done.append) as found:
        assert str(found) == "local 4566"
    assert done == []
