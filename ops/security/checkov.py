"""Checkov over the synthesised templates, with the rules that came with it: it asks nobody."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ops.security.assemblies import Assembly, distinct
from ops.security.findings import CheckError, Result, over_environments
from ops.security.programs import TOOLS, answered

__all__ = ["check"]


def check(assemblies: Sequence[Assembly]) -> Result:
    """Its rules for CloudFormation.

    Raises
    ------
    CheckError
        If it looked at nothing, or could not read a template.
    """
    return Result(check="checkov", findings=over_environments(_found(assemblies)))


def _found(assemblies: Sequence[Assembly]) -> Iterator[tuple[str, str, str, str]]:
    alike = {str(group[0].path): group for group in distinct(assemblies)}
    command = [str(TOOLS / "checkov"), "--framework", "cloudformation", "--skip-download", "--quiet", "--compact"]
    said: dict[str, Any] = answered([*command, "--output", "json", "--file", *alike], ends=(0, 1))
    if "results" not in said:
        raise CheckError("checkov looked at no resource")
    if broken := said["summary"]["parsing_errors"]:
        raise CheckError(f"checkov could not read {broken} templates")
    for failed in said["results"]["failed_checks"]:
        logical_id = failed["resource"].rpartition(".")[2]
        for template in alike[str(Path(failed["file_abs_path"]))]:
            yield template.environment, failed["check_id"], template.place(logical_id), failed["check_name"]
