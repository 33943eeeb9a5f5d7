"""cdk-nag, which looked on while the templates were made, and the CDK's own warnings."""

import json
import re
from collections.abc import Iterator, Sequence

from ops.security.assemblies import Assembly
from ops.security.findings import CheckError, Result, over_environments

__all__ = ["check", "general"]

PACKS = {"AwsSolutions", "PCI.DSS.321"}
# What another stack exports, and the names that begin with the environment's.
_EXPORT = re.compile(r"\bpaywarden-\w+-([a-z]+):ExportsOutput(?:FnGetAtt|Ref)(\w+?)[0-9A-F]{8}\b")
_PREFIX = re.compile(r"\bpaywarden-(?:dev|staging|prod)\b")


def general(rule: str) -> str:
    """A rule's name without what differs between environments: its findings often name a resource.

    >>> general("AwsSolutions-IAM5[Resource::arn:aws:s3:::paywarden-prod-lake/*]")
    'AwsSolutions-IAM5[Resource::arn:aws:s3:::paywarden-<env>-lake/*]'
    """
    return _PREFIX.sub("paywarden-<env>", _EXPORT.sub(r"<\1.\2>", rule))


def check(assemblies: Sequence[Assembly]) -> Result:
    """The packs AwsSolutions and PCI DSS 3.2.1.

    Raises
    ------
    CheckError
        If a pack is missing from an environment's report.
    """
    return Result(check="cdk-nag", findings=over_environments(_found(assemblies)))


def _found(assemblies: Sequence[Assembly]) -> Iterator[tuple[str, str, str, str]]:
    for assembly in assemblies:
        reports = json.loads(assembly.report.read_text())["pluginReports"]
        if missing := PACKS - {each["pluginName"] for each in reports}:
            raise CheckError(f"{assembly.environment}: no report of {', '.join(sorted(missing))}")
        for violation in (each for report in reports for each in report["violations"]):
            for construct in violation["violatingConstructs"]:
                rule = general(violation["ruleName"])
                yield assembly.environment, rule, construct["constructPath"], violation["description"]
