"""Runbooks: every alarm has a page, and every command on a page exists as it stands there."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
import typer.main
from typer.core import TyperGroup

from fraud.measures import MEASURES
from infra.alarms import KINDS
from infra.environment import Environment
from ops.cli import app
from tests.infra.conftest import FUNCTIONS

ROOT = Path(__file__).resolve().parents[2]
RUNBOOKS = ROOT / "docs/runbooks"
PAGES = {
    path.stem: path.read_text() for path in sorted(RUNBOOKS.glob("*.md")) if path.stem not in ("README", "walked")
}
SECTIONS = ("What it means", "Look", "Mend", "When it is over", "If that does not help")
INDEX = (RUNBOOKS / "README.md").read_text()
WALKED = (RUNBOOKS / "walked.md").read_text()
OTHERS = {
    str(path.relative_to(ROOT)): path.read_text()
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))
}
COMMANDS = typer.main.get_command(app)


def alarms_of(page: str) -> list[str]:
    (line,) = re.findall(r"^Alarms: (.*)$", page, flags=re.MULTILINE)
    return re.findall(r"`([^`]+)`", line)


def fenced(text: str) -> list[str]:
    """What begins with `paywarden` on a line of a fenced block."""
    blocks = re.findall(r"^```sh\n(.*?)^```", text.replace("\\\n", " "), flags=re.DOTALL | re.MULTILINE)
    lines = [line.removeprefix(".venv/bin/") for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith("paywarden ")]


def commands(text: str) -> list[str]:
    """The same, and what does in backticks on a line of text."""
    inline = re.findall(r"`(paywarden [^`]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))
    return [*fenced(text), *(each.replace("\n", " ") for each in inline)]


def check(command: str) -> None:
    """Parse a command line as the program would, without running anything.

    Raises
    ------
    typer.TyperException
        If there is no such command, option or choice, or something is missing.
    """
    words = shlex.split(command, comments=True)[1:]
    found: Any = COMMANDS
    context = typer.Context(found, info_name="paywarden")
    while isinstance(found, TyperGroup) and words != ["--help"]:
        name, found, words = found.resolve_command(context, words)
        context = typer.Context(found, info_name=name, parent=context)
    if words == ["--help"]:
        return
    # Files that a page names are the reader's: any that is there stands for them.
    here = [each if Path(each).suffix not in {".csv", ".json"} else __file__ for each in words]
    found.make_context(context.info_name, here, parent=context.parent)


def refusal(command: str) -> typer.TyperException | None:
    """Why a command line is none; None if it is one."""
    try:
        check(command)
    except typer.TyperException as error:
        return error
    return None


@pytest.mark.parametrize("page", PAGES)
def test_a_page_says_what_where_and_how(page: str) -> None:
    text = PAGES[page]
    assert text.startswith("# ")
    headings = re.findall(r"^## (.*)$", text, flags=re.MULTILINE)
    assert tuple(headings) == SECTIONS
    assert "paywarden" in text.partition("## Look")[2].partition("## Mend")[0]
    for target in re.findall(r"\]\(([^)#]+\.md)", text):
        assert (RUNBOOKS / target).resolve().is_file(), target
    assert max(map(len, text.splitlines())) < 180


def test_every_alarm_is_on_its_page_and_on_no_other() -> None:
    listed = {kind: name for name, text in PAGES.items() for kind in alarms_of(text)}
    assert listed == {each.name: each.runbook for each in KINDS.values()}
    assert sum(len(alarms_of(text)) for text in PAGES.values()) == len(KINDS)


def test_the_index_tells_of_each_alarm_what_the_catalogue_does() -> None:
    rows = re.findall(r"^\| `([^`]+)` \| (\w+) \| (\w+) \| \[(.*)\]\((.*)\.md\) \|$", INDEX, flags=re.MULTILINE)
    titles = {name: text.splitlines()[0].removeprefix("# ") for name, text in PAGES.items()}
    assert rows == [
        (each.name, each.severity, each.owner, titles[each.runbook], each.runbook) for each in KINDS.values()
    ]
    assert {name for name in PAGES if f"({name}.md)" in INDEX} == set(PAGES)


@pytest.mark.parametrize("page", [*PAGES, "README", "walked"])
def test_every_command_on_a_page_exists(page: str) -> None:
    text = {**PAGES, "README": INDEX, "walked": WALKED}[page]
    found = commands(text)
    assert found
    # In a sentence a command may stand by its name alone, without what it is to be given.
    wrong = {
        each: str(error)
        for each in found
        if (error := refusal(each)) and not (f"`{each}`" in text and type(error).__name__ == "MissingParameter")
    }
    assert wrong == {}


@pytest.mark.parametrize("page", OTHERS)
def test_every_command_in_a_block_of_the_other_pages_exists(page: str) -> None:
    wrong = {each: str(error) for each in fenced(OTHERS[page]) if (error := refusal(each))}
    assert wrong == {}


@pytest.mark.parametrize(
    "wrong",
    [
        "paywarden mend",
        "paywarden models mend RUN",
        "paywarden status --everything",
        "paywarden redrive nothing",
        "paywarden logs score_transaction --minutes soon",
        "paywarden models approve RUN",
    ],
)
def test_a_command_that_does_not_exist_would_be_found(wrong: str) -> None:
    with pytest.raises(typer.TyperException):
        check(wrong)


@pytest.mark.parametrize("page", PAGES)
def test_every_function_metric_and_setting_on_a_page_exists(page: str) -> None:
    text = PAGES[page]
    for each in re.findall(r"paywarden logs (\S+)", text):
        assert each in FUNCTIONS, each
    for each in re.findall(r"paywarden rollback code (\S+)", text):
        assert each in FUNCTIONS, each
    for each in re.findall(r"`([A-Z][a-z]+[A-Za-z]*)`", text):
        known = each in MEASURES or each in _AWS or each.endswith(("Error", "Exception"))
        assert known or each in _OUTPUTS, f"{each} is neither a measure, nor AWS's, nor an output"
    for each in re.findall(r"`((?:maximum|minimum|updater|store)_\w+|\w+_concurrency)`", text):
        assert each in _settings() | {"max_concurrency"}, each


_AWS = {"ConcurrentExecutions"}
_OUTPUTS = {"AuditBucket", "LakeBucket", "MonitorStateMachine", "KeySecret", "PageTopic", "TicketTopic"}


def _settings() -> set[str]:
    """Names of the environments' fields, and of those of their policies."""
    environment = Environment(name="any")
    policies: tuple[Any, ...] = (
        environment.monitoring_policy,
        environment.run_policy.release,
        environment.run_policy.data,
    )
    return {*Environment.__dataclass_fields__, *(name for each in policies for name in each.__struct_fields__)}
