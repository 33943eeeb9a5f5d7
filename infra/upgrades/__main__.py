"""`python -m infra.upgrades`: record what this release deploys, for the next one to be held against."""

import sys
import tempfile
from pathlib import Path

from infra.assembly import application
from infra.environments import lookup
from infra.upgrades import BREAKING, RECORDED, kept, write

for name in RECORDED:
    with tempfile.TemporaryDirectory(prefix="paywarden-") as folder:
        assembly = application(lookup(name), Path(folder)).synth()
        release = {stack.id: kept(stack.template) for stack in assembly.stacks}
    sys.stdout.write(f"{write(name, release)}\n")
if BREAKING:
    sys.stdout.write("This release is the last one now: empty BREAKING in infra/upgrades/breaking.py.\n")
