"""Ruff's security rules (flake8-bandit's) over the product's code, exceptions counted with the rest."""

import re
from pathlib import Path

from ops.security.findings import Finding, Result
from ops.security.programs import BIN, ROOT, answered

__all__ = ["check", "reason_in"]

ROOMS = ("layers", "lambdas", "training", "infra", "ops", "app.py")
_EXCEPTION = re.compile(r"# noqa: (?P<rules>[A-Z0-9, ]+?)(?: - (?P<reason>.+))?$")


def reason_in(line: str, rule: str) -> str:
    """Why a line may break a rule, as it says itself; empty if it does not.

    >>> reason_in("sleep(random())  # noqa: S311 - spreads retries only", "S311")
    'spreads retries only'
    >>> reason_in("sleep(random())  # noqa: S311", "S311")
    ''
    """
    found = _EXCEPTION.search(line)
    if found is None or rule not in found["rules"].replace(",", " ").split():
        return ""
    return found["reason"] or ""


def check() -> Result:
    """Every line that breaks a rule; the reason stands in the line."""
    command = [
        str(BIN / "ruff"),
        "check",
        "--select",
        "S",
        "--ignore-noqa",
        "--config",
        "lint.per-file-ignores={}",
    ]
    found = []
    for each in answered([*command, "--output-format", "json", *ROOMS], ends=(0, 1)):
        path = Path(each["filename"])
        line = path.read_text().splitlines()[each["noqa_row"] - 1]
        place = f"{path.relative_to(ROOT)}:{each['location']['row']}"
        reason = reason_in(line, each["code"])
        found.append(Finding(rule=each["code"], place=place, message=each["message"], reason=reason))
    return Result(check="ruff S", findings=tuple(found))
