"""Known vulnerabilities of what is pinned, from PyPI's and npm's own advisories."""

from typing import Any

from ops.security.findings import Finding, Result
from ops.security.programs import ROOT, TOOLS, answered

__all__ = ["node", "node_outcome", "python_outcome", "python_packages"]


def python_packages() -> Result:
    """Every requirements file. What the index cannot tell of the first is not asked for the rest."""
    files = sorted((ROOT / "requirements").glob("*.txt"), key=lambda path: (path.stem != "vendor", path.name))
    found: list[Finding] = []
    for path in files:
        command = [str(TOOLS / "pip-audit"), "--disable-pip", "--require-hashes", "--progress-spinner", "off"]
        said = answered([*command, "--format", "json", "--requirement", str(path)], ends=(0, 1))
        result = python_outcome(said, f"requirements/{path.name}")
        found += result.findings
        if result.unreached:
            return Result(check="pip-audit", findings=tuple(found), unreached=result.unreached)
    return Result(check="pip-audit", findings=tuple(found))


def python_outcome(said: dict[str, Any], name: str) -> Result:
    """What pip-audit's document about one file means: a package that it skipped is no package without findings."""
    skipped = [each["name"] for each in said["dependencies"] if "skip_reason" in each]
    found = tuple(
        Finding(
            rule=hole["id"], place=f"{name}#{each['name']}", message=f"{each['version']}: {hole['description']}"
        )
        for each in said["dependencies"]
        for hole in each.get("vulns", ())
    )
    unreached = f"the index has no advisories for {len(skipped)} packages of {name}" if skipped else ""
    return Result(check="pip-audit", findings=found, unreached=unreached)


def node() -> Result:
    """What package-lock.json pins."""
    said = answered(["npm", "audit", "--json", "--package-lock-only"], ends=(0, 1))
    return node_outcome(said)


def node_outcome(said: dict[str, Any]) -> Result:
    """What npm's document means; without a list of vulnerabilities it is a refusal, or nobody was there."""
    if "vulnerabilities" not in said:
        # The words after the status name an address.
        why = str(said.get("message") or "no answer").partition(" - ")[0]
        return Result(check="npm audit", unreached=f"the registry gives no advisories ({why})")
    found = tuple(
        Finding(rule=cause["url"], place=f"package-lock.json#{name}", message=cause["title"])
        for name, each in said["vulnerabilities"].items()
        for cause in each["via"]
        if isinstance(cause, dict)
    )
    return Result(check="npm audit", findings=found)
