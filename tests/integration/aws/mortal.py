"""A program in a process of its own that can be made to die, for real, at a chosen call to DynamoDB."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.integration.aws.bridge import REGION

__all__ = ["CREDENTIALS", "Mortal"]

ROOT = Path(__file__).resolve().parents[3]
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": REGION}


class Mortal:
    """A module that is run with `given` on its standard input, and tells its result as JSON on standard error.

    Attributes
    ----------
    calls : Counter of str
        How often the run so far made each call.
    meanwhile : callable
        Called with the name of each call before it takes effect.
    """

    def __init__(self, module: str, given: object, environment: Mapping[str, str]) -> None:
        self._module = module
        self._given = json.dumps(given).encode()
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None
        self._die: tuple[str, int, bool] | None = None
        self.calls: Counter[str] = Counter()
        self.meanwhile: Callable[[str], None] = lambda _operation: None

    def hook(self, operation: str, done: bool) -> bool:
        self.calls[operation] += not done
        if self._die == (operation, self.calls[operation], done):
            assert self._process is not None
            self._process.kill()
            return False
        if not done:
            self.meanwhile(operation)
        return True

    def run(self, endpoint: str, die: tuple[str, int, bool] | None = None) -> tuple[int, dict[str, Any] | None]:
        """Run it; the exit code, and the result if there was one.

        Parameters
        ----------
        die : tuple of call, number and whether it took effect, optional
        """
        self.calls.clear()
        self._die = die
        self._process = subprocess.Popen(
            [sys.executable, "-m", self._module],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(ROOT),
                "AWS_ENDPOINT_URL": endpoint,
                **CREDENTIALS,
                **self._environment,
            },
        )
        _, told = self._process.communicate(self._given, timeout=60)
        return self._process.returncode, json.loads(told) if self._process.returncode == 0 else None
