"""A step of the demo is kept and shown, whether it held or not."""

import io

import pytest
from rich.console import Console

from ops.demo.stages import DemoError, Stages


@pytest.fixture
def shown() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def stages(shown: io.StringIO) -> Stages:
    return Stages(Console(file=shown, width=200))


def fail(stages: Stages, error: BaseException) -> None:
    with stages.stage("deploy", "five stacks") as done:
        done("half of it")
        done.note(str(error))
        raise error


def test_a_step_that_held_is_kept_with_what_was_found(stages: Stages, shown: io.StringIO) -> None:
    with stages.stage("deploy", "five stacks") as done:
        done.note("stack 1 of 5")
        done("5 stacks")
    (step,) = stages.steps
    assert (step.name, step.claim, step.ok, step.detail) == ("deploy", "five stacks", True, "5 stacks")
    assert step.seconds >= 0
    assert "✓" in shown.getvalue()
    assert "5 stacks" in shown.getvalue()


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (DemoError("1 event was lost"), "1 event was lost"),
        (KeyError(), "KeyError"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
    ],
)
def test_a_step_that_failed_is_kept_and_ends_the_demo(
    stages: Stages, shown: io.StringIO, error: BaseException, detail: str
) -> None:
    with pytest.raises(type(error)):
        fail(stages, error)
    (step,) = stages.steps
    assert (step.ok, step.detail) == (False, detail)
    assert "✗" in shown.getvalue()
    assert detail in shown.getvalue()


def test_steps_are_kept_in_their_order(stages: Stages) -> None:
    for name in ("a", "b", "c"):
        with stages.stage(name, "claim") as done:
            done(name)
    assert [step.name for step in stages.steps] == ["a", "b", "c"]


@pytest.mark.parametrize("text", ["[amount] is missing", "[/tmp/x] is gone", "[bold]", "['r1', 'r2']"])
def test_brackets_are_words_like_any_other(stages: Stages, shown: io.StringIO, text: str) -> None:
    with pytest.raises(DemoError):
        fail(stages, DemoError(text))
    assert text in shown.getvalue()
