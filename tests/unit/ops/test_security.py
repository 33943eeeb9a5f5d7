"""`make security`: findings, what may stay, and what a check that could not look is worth."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from ops.security import advisories, code, nag, secrets
from ops.security.assemblies import CHECKED
from ops.security.findings import Finding, Result, over_environments
from ops.security.judging import Verdict, judge
from ops.security.suppressions import Suppression, SuppressionError, load, parse
from ops.security.table import drafted, failures

KNOWN = ("dev", "prod")
REASON = "because a test says so"


def finding(rule: str = "R1", place: str = "data/bucket", **fields: Any) -> Finding:
    return Finding(rule=rule, place=place, message="is open", **{"environments": KNOWN, **fields})


def suppression(rule: str = "R1", place: str = "data/bucket", **fields: Any) -> Suppression:
    given = {"check": "nag", "reason": REASON, "environments": KNOWN, **fields}
    return Suppression(rule=rule, place=place, **given)


def judged(*found: Finding, by: tuple[Suppression, ...] = (), **fields: Any) -> Verdict:
    return judge(Result(check="nag", findings=found, **fields), by)


def test_what_is_suppressed_with_a_reason_passes_and_nothing_else_does() -> None:
    verdict = judged(finding(), finding(place="data/other"), by=(suppression(),))
    assert (verdict.findings, verdict.suppressed, verdict.failed) == (2, 1, 1)
    assert list(failures([verdict])) == ["nag R1: is open", "    data/other (dev, prod)"]
    assert judged(finding(reason="said in the line itself")).failed == 0


@pytest.mark.parametrize(
    ("found", "by", "fault"),
    [
        ((finding(),), suppression(reason=""), "suppressed without a reason"),
        ((finding(),), suppression(reason="false positive"), "suppressed without a reason"),
        ((), suppression(), "suppressed, and not found"),
        ((finding(environments=("dev",)),), suppression(), "found in dev, suppressed in dev, prod"),
        ((finding(),), suppression(environments=("dev",)), "found in dev, prod, suppressed in dev"),
    ],
)
def test_a_suppression_that_says_too_little_or_too_much_fails(
    found: tuple[Finding, ...], by: Suppression, fault: str
) -> None:
    verdict = judged(*found, by=(by,))
    assert verdict.failed == 1
    assert verdict.faults == (f"R1 data/bucket: {fault}",)


def test_suppressions_of_other_checks_are_none_and_prove_nothing() -> None:
    assert judged(finding(), by=(suppression(check="lint"),)).failed == 1
    assert judged(by=(suppression(check="lint"),)).failed == 0


def test_a_check_that_could_not_look_has_not_passed_and_makes_no_suppression_stale() -> None:
    verdict = judged(by=(suppression(),), unreached="nobody answers")
    assert (verdict.failed, verdict.unreached) == (0, "nobody answers")


GROUP = {"check": "nag", "rule": "R1", "reason": REASON, "places": ["data/bucket"]}


@pytest.mark.parametrize(
    ("group", "why"),
    [
        ({"places": ["data/*"]}, "is a pattern"),
        ({"places": ["a", "a"]}, "stands there twice"),
        ({"places": []}, "check, rule and places are needed"),
        ({"environments": ["moon"]}, "no such environment: moon"),
        ({"stack": "data"}, "unknown key stack"),
    ],
)
def test_a_suppression_names_single_places(group: dict[str, Any], why: str) -> None:
    assert parse({"suppressed": [GROUP]}, KNOWN) == [suppression()]
    with pytest.raises(SuppressionError, match=why):
        parse({"suppressed": [GROUP | group]}, KNOWN)


def test_every_suppression_that_is_committed_says_why() -> None:
    assert all(each.reasoned for each in load(CHECKED))


def test_a_draft_is_read_back_and_lacks_reasons_only() -> None:
    verdict = judged(finding(), finding(place="data/other"), finding(rule="R2", environments=("dev",)))
    text = "\n".join(drafted([verdict], KNOWN))
    read = parse(tomllib.loads(text), KNOWN)
    again = judge(Result(check="nag", findings=verdict.open), read)
    assert again.open == ()
    assert [fault.endswith("suppressed without a reason") for fault in again.faults] == [True] * 3


def test_one_finding_in_several_environments_is_one() -> None:
    found = over_environments([("prod", "R1", "x", "m"), ("dev", "R1", "x", "m"), ("dev", "R2", "x", "n")])
    assert [(each.rule, each.environments) for each in found] == [("R1", ("dev", "prod")), ("R2", ("dev",))]


def test_a_rule_is_named_alike_in_every_environment() -> None:
    export = "paywarden-{}-data:ExportsOutputFnGetAttmodels3A8DAD06ArnD7CAE3CD"
    named = {nag.general(f"IAM5[Resource::{export.format(each)}/runs/*]") for each in ("dev", "staging", "prod")}
    assert named == {"IAM5[Resource::<data.models3A8DAD06Arn>/runs/*]"}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("x()  # noqa: S603 - a list, no shell", "a list, no shell"),
        ("x()  # noqa: S603, S607 - a list, no shell", "a list, no shell"),
        ("x()  # noqa: S603", ""),
        ("x()  # noqa: S608 - another rule's reason", ""),
        ("x()", ""),
    ],
)
def test_a_line_says_itself_why_it_may(line: str, reason: str) -> None:
    assert code.reason_in(line, "S603") == reason


def test_a_secret_is_found_and_nothing_else_is_covered_by_its_suppression(tmp_path: Path) -> None:
    # Put together here, so that this file holds none.
    tokens = ["ghp_" + letter * 36 for letter in "ab"]
    (tmp_path / "clean.txt").write_text("nothing\n")
    (tmp_path / "one.txt").write_text(f"token: {tokens[0]}\n")
    (tmp_path / "two.txt").write_text(f"token: {tokens[1]}\n")
    found = list(secrets.found_in(tmp_path, ["clean.txt", "one.txt", "two.txt"]))
    assert [each.place.partition("#")[0] for each in found] == ["one.txt", "two.txt"]
    assert not any(token in f"{each}" for each in found for token in tokens)
    (tmp_path / "one.txt").write_text(f"token: {tokens[1]}\n")
    assert next(secrets.found_in(tmp_path, ["one.txt"])).place != found[0].place


def test_a_package_that_was_not_looked_up_is_not_one_without_holes() -> None:
    sound = {"name": "a", "version": "1", "vulns": []}
    hole = {"name": "b", "version": "2", "vulns": [{"id": "PYSEC-1", "description": "d", "fix_versions": []}]}
    skipped = {"name": "c", "skip_reason": "not found"}
    assert advisories.python_outcome({"dependencies": [sound]}, "x.txt") == Result(check="pip-audit")
    found = advisories.python_outcome({"dependencies": [sound, hole]}, "x.txt").findings
    assert [(each.rule, each.place) for each in found] == [("PYSEC-1", "x.txt#b")]
    assert advisories.python_outcome({"dependencies": [sound, skipped]}, "x.txt").unreached


def test_a_registry_that_refuses_is_not_one_without_advisories() -> None:
    assert advisories.node_outcome({"vulnerabilities": {}}) == Result(check="npm audit")
    refused = advisories.node_outcome({"message": "405 Method Not Allowed - POST https://example.org/x"})
    assert refused.unreached == "the registry gives no advisories (405 Method Not Allowed)"
    hole = {
        "severity": "high",
        "via": ["other", {"url": "https://example.org/1", "title": "t"}],
    }
    found = advisories.node_outcome({"vulnerabilities": {"a": hole}}).findings
    assert [each.place for each in found] == ["package-lock.json#a"]
