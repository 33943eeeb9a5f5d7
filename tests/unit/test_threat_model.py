"""The threat model asks every element all six questions, and its mitigations are held by tests that exist."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/threat-model.md").read_text()
ELEMENTS = dict(re.findall(r"^## (?!Data flow|What is left)(.+?)\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S))
EXCUSE = "does not apply, because "


def rows(section: str) -> list[list[str]]:
    """The rows of a table, without its head."""
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def problems(section: str) -> list[str]:
    """What is wrong with the table of one element."""
    found = [f"no row for {letter}" for letter in "STRIDE" if letter not in {row[0] for row in rows(section)}]
    for _, threat, mitigation, test in rows(section):
        if mitigation.startswith(EXCUSE):
            if len(mitigation.removeprefix(EXCUSE).split()) < 4 or test:
                found.append(f"{threat}: no reason why it does not apply")
        elif not (names := re.findall(r"`(tests/\S+?\.py)::(test_\w+)`", test)):
            found.append(f"{threat}: no test")
        else:
            found += [f"{path} has no {name}" for path, name in names if name not in named_in(ROOT / path)]
    return found


def named_in(path: Path) -> set[str]:
    if not path.is_file():
        return set()
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


def test_every_element_of_the_picture_has_a_section() -> None:
    drawn = set(re.findall(r"^ +\w+(?:\[\(|\(\[|\[)(\w[^\])]*?)(?:\)\]|\]\)|\])$", PAGE, re.M))
    shorter = {"Firewall and API Gateway": "Edge"}
    assert {shorter.get(name, name) for name in drawn} == set(ELEMENTS)


@pytest.mark.parametrize("element", ELEMENTS)
def test_every_mitigation_is_held_by_a_test_that_exists(element: str) -> None:
    assert problems(ELEMENTS[element]) == []


def test_what_is_missing_would_be_found() -> None:
    table = "| | threat | mitigation | held by |\n| --- | --- | --- | --- |\n"
    whole = "".join(f"| {letter} | t | {EXCUSE}it is one for a test | |\n" for letter in "STRIDE")
    assert problems(table + whole) == []
    assert problems(table + whole.replace("| R |", "| T |")) == ["no row for R"]
    assert problems(table + whole + "| S | t | m | |\n") == ["t: no test"]
    assert problems(table + whole + "| S | t | m | `tests/unit/test_x.py::test_y` |\n") == [
        "tests/unit/test_x.py has no test_y"
    ]
    assert problems(table + whole + f"| S | t | {EXCUSE}no | |\n") == ["t: no reason why it does not apply"]
