"""Every check, in one table: `make security`."""

import argparse
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console

from ops.security import advisories, cfn_lint, checkov, code, nag, secrets, workflows
from ops.security.assemblies import CHECKED, synthesised
from ops.security.findings import CheckError, Result
from ops.security.judging import judge
from ops.security.suppressions import SuppressionError, load
from ops.security.table import drafted, failures, table

AT_ONCE = 2
"""Checks at the same time; each is a process of its own."""


def results(folder: Path) -> list[Result]:
    """What every check comes back with, in the table's order."""
    with ThreadPoolExecutor(AT_ONCE) as executor:
        made = executor.submit(synthesised, folder)
        of_files = [
            executor.submit(check)
            for check in (secrets.check, code.check, workflows.check, advisories.python_packages, advisories.node)
        ]
        assemblies = made.result()
        of_templates = [executor.submit(each.check, assemblies) for each in (checkov, cfn_lint, nag)]
        return [each.result() for each in (*of_templates, *of_files)]


def main() -> int:
    """Print the table, and what failed; 0 if nothing did."""
    parser = argparse.ArgumentParser(prog="make security", description=__doc__)
    parser.add_argument("--reach-all", action="store_true", help="fail where a check's data could not be had")
    parser.add_argument("--draft", action="store_true", help="print what is open as groups for suppressions.toml")
    asked = parser.parse_args()
    try:
        suppressions = load(CHECKED)
        with tempfile.TemporaryDirectory() as folder:
            verdicts = [judge(each, suppressions) for each in results(Path(folder))]
    except (CheckError, SuppressionError) as error:
        sys.stderr.write(f"security: {error}\n")
        return 2
    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(table(verdicts))
    lines = drafted(verdicts, CHECKED) if asked.draft else failures(verdicts)
    sys.stdout.writelines(f"{line}\n" for line in lines)
    unreached = asked.reach_all and any(each.unreached for each in verdicts)
    return int(unreached or any(each.failed for each in verdicts))


if __name__ == "__main__":
    sys.exit(main())
