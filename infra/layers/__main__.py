"""`python -m infra.layers`: build the vendor layers, so that every later synth works without a network."""

import sys

from infra.layers.build import prepare

for built in prepare():
    sys.stdout.write(f"{built}\n")
