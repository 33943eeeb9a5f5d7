"""zizmor over the workflows and actions of GitHub Actions."""

from pathlib import Path

from ops.security.findings import CheckError, Finding, Result
from ops.security.programs import BIN, ROOT, answered

__all__ = ["check"]

# 10 and more say how grave the gravest finding is.
_ENDS = (0, *range(10, 15))


def check() -> Result:
    """Its rules that need no network, whatever its own configuration lets pass.

    Raises
    ------
    CheckError
        If there is no workflow, or one has zizmor look away.
    """
    written = sorted((ROOT / ".github").rglob("*.yml"))
    if not written:
        raise CheckError(".github has no workflow")
    for path in written:
        if "zizmor: ignore" in path.read_text():
            raise CheckError(f"{path.relative_to(ROOT)}: suppress in suppressions.toml, not in the workflow")
    command = [str(BIN / "zizmor"), "--offline", "--no-config", "--quiet", "--format", "json"]
    found = []
    for each in answered([*command, str(ROOT / ".github")], ends=_ENDS):
        spot = next(at["symbolic"] for at in each["locations"] if at["symbolic"]["kind"] == "Primary")
        path = Path(spot["key"]["Local"]["verbatim_path"]).relative_to(ROOT)
        steps = ".".join(str(step.get("Key", step.get("Index"))) for step in spot["route"]["route"])
        found.append(Finding(rule=each["ident"], place=f"{path}#{steps}", message=each["desc"]))
    return Result(check="zizmor", findings=tuple(found))
