"""Secretlint over every file that is in the repository or about to be."""

import json
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from ops.security.findings import CheckError, Finding, Result
from ops.security.programs import ROOT, ran

__all__ = ["check", "found_in"]

_PROGRAM = ROOT / "node_modules/.bin/secretlint"
_RULES = Path(__file__).with_name("secretlintrc.json")


def check() -> Result:
    """Keys, tokens and passwords in the forms that their issuers give them.

    A place is a file and a digest of the text found in it, so that what is suppressed covers no other text.

    Raises
    ------
    CheckError
        If there is no file to look at.
    """
    listed = ran(["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]).split("\0")
    files = [name for name in listed if name and (ROOT / name).is_file()]
    if not files:
        raise CheckError("git lists no file")
    return Result(check="secretlint", findings=tuple(found_in(ROOT, files)))


def found_in(root: Path, names: Sequence[str]) -> Iterator[Finding]:
    """What is found in files under a folder.

    Raises
    ------
    CheckError
        If one of them was not looked at.
    """
    with TemporaryDirectory() as folder:
        # Into a file: what it has not yet written to a pipe when it ends is lost.
        said = Path(folder) / "found.json"
        program = [
            str(_PROGRAM),
            "--secretlintrc",
            str(_RULES),
            "--no-glob",
            "--format",
            "json",
            "--output",
            str(said),
        ]
        ran([*program, *(str(root / name) for name in names)])
        looked_at = json.loads(said.read_text())
    if len(looked_at) != len(names):
        raise CheckError(f"secretlint looked at {len(looked_at)} of {len(names)} files")
    for each in looked_at:
        for message in each["messages"]:
            start, end = message["range"]
            digest = sha256(each["sourceContent"][start:end].encode()).hexdigest()[:12]
            place = f"{Path(each['filePath']).relative_to(root)}#{digest}"
            yield Finding(rule=message["ruleId"], place=place, message=message["messageId"])
