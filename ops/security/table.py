"""What a person reads: the table, what failed, and the text of suppressions to come."""

import json
from collections.abc import Iterator, Sequence
from itertools import groupby

from rich.table import Table

from ops.security.findings import Finding
from ops.security.judging import Verdict

__all__ = ["drafted", "failures", "table"]


def table(verdicts: Sequence[Verdict]) -> Table:
    """One row for each check."""
    made = Table("check")
    for column in ("findings", "suppressed with reason", "failed"):
        made.add_column(column, justify="right")
    made.add_column("")
    for each in verdicts:
        style = "red" if each.failed else "yellow" if each.unreached else ""
        note = f"not reached: {each.unreached}" if each.unreached else ""
        # A check that could not look has no figures that mean anything, unless it found something before.
        figures = (each.findings, each.suppressed, each.failed)
        shown = [str(n) if n or not each.unreached else "-" for n in figures]
        made.add_row(each.check, *shown, note, style=style)
    return made


def failures(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """What failed, by check and rule."""
    for verdict in verdicts:
        for rule, found in groupby(sorted(verdict.open), lambda finding: finding.rule):
            group = list(found)
            yield f"{verdict.check} {rule}: {group[0].message}"
            for each in group:
                within = f" ({', '.join(each.environments)})" if each.environments else ""
                yield f"    {each.place}{within}"
        yield from (f"{verdict.check} {fault}" for fault in verdict.faults)


def drafted(verdicts: Sequence[Verdict], known: tuple[str, ...]) -> Iterator[str]:
    """The open findings as groups for suppressions.toml, whose reasons are still to be written."""
    for verdict in verdicts:

        def kind(finding: Finding) -> tuple[str, tuple[str, ...]]:
            return finding.rule, finding.environments

        for (rule, environments), found in groupby(sorted(verdict.open, key=kind), kind):
            yield "[[suppressed]]"
            yield f"check = {json.dumps(verdict.check)}"
            yield f"rule = {json.dumps(rule)}"
            yield 'reason = ""'
            if environments and environments != tuple(sorted(known)):
                yield f"environments = {json.dumps(list(environments))}"
            yield "places = ["
            yield from (f"    {json.dumps(each.place)}," for each in sorted(found))
            yield "]\n"
