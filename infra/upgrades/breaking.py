"""What the next release breaks on purpose."""

from collections.abc import Mapping

__all__ = ["BREAKING"]

BREAKING: Mapping[str, str] = {}
"""Why the next release may replace or drop a resource or keep it for less long, and what becomes of its content.

By environment, stack and logical id, such as ``prod/data/featuresA1B2C3``. It is emptied by hand once the release
is recorded: recording reminds of it, and a test fails on a line that is not needed any more.
"""
