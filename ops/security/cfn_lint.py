"""cfn-lint: whether CloudFormation would take the templates."""

from collections.abc import Iterator, Sequence

from ops.security.assemblies import Assembly, distinct
from ops.security.findings import Result, over_environments
from ops.security.programs import BIN, answered

__all__ = ["check"]

REGIONS = ("eu-west-1", "us-east-1")
# It adds 2 for errors, 4 for warnings and 8 for information.
_ENDS = range(0, 16, 2)


def check(assemblies: Sequence[Assembly]) -> Result:
    """All rules that are on by default, in two regions."""
    return Result(check="cfn-lint", findings=over_environments(_found(assemblies)))


def _found(assemblies: Sequence[Assembly]) -> Iterator[tuple[str, str, str, str]]:
    alike = {str(group[0].path): group for group in distinct(assemblies)}
    command = [str(BIN / "cfn-lint"), "--format", "json", "--regions", *REGIONS, "--template", *alike]
    for match in answered(command, ends=_ENDS):
        spot = match["Location"]["Path"] or []
        named = str(spot[1]) if len(spot) > 1 else "template"
        for template in alike[match["Filename"]]:
            yield template.environment, match["Rule"]["Id"], template.place(named), match["Message"]
