"""Findings against suppressions: what is left, and which suppressions are wrong."""

from collections.abc import Sequence
from dataclasses import dataclass

from ops.security.findings import Finding, Result
from ops.security.suppressions import Suppression

__all__ = ["Verdict", "judge"]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What one check comes to.

    Attributes
    ----------
    findings, suppressed : int
        All that it found, and how many of them may stay and say why.
    open : tuple of Finding
        Those that nothing suppresses.
    faults : tuple of str
        Suppressions without a reason, and those that match nothing.
    unreached : str
        Why the check could not look, or not at all.
    """

    check: str
    findings: int
    suppressed: int
    open: tuple[Finding, ...]
    faults: tuple[str, ...]
    unreached: str

    @property
    def failed(self) -> int:
        return len(self.open) + len(self.faults)


def judge(result: Result, suppressions: Sequence[Suppression]) -> Verdict:
    """Match each finding with its suppression, exactly: rule, place and environments.

    Parameters
    ----------
    suppressions : sequence of Suppression
        Of every check; those of others are left alone.
    """
    mine = {(each.rule, each.place): each for each in suppressions if each.check == result.check}
    left = dict(mine)
    still_open, faults, suppressed = [], [], 0
    for finding in result.findings:
        suppression = left.pop((finding.rule, finding.place), None)
        if finding.reason:
            suppressed += 1
        elif suppression is None:
            still_open.append(finding)
        elif finding.environments and finding.environments != suppression.environments:
            found, said = ", ".join(finding.environments), ", ".join(suppression.environments)
            faults.append(f"{finding.rule} {finding.place}: found in {found}, suppressed in {said}")
        elif not suppression.reasoned:
            faults.append(f"{finding.rule} {finding.place}: suppressed without a reason")
        else:
            suppressed += 1
    if not result.unreached:
        faults += [f"{each.rule} {each.place}: suppressed, and not found" for each in left.values()]
    return Verdict(
        check=result.check,
        findings=len(result.findings),
        suppressed=suppressed,
        open=tuple(still_open),
        faults=tuple(faults),
        unreached=result.unreached,
    )
