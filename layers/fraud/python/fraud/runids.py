"""The id of a training run, made from the name of its execution."""

import hashlib
import re

__all__ = ["LONGEST_RUN_ID", "run_id_of"]

LONGEST_RUN_ID = 40
"""A job is named after its run and its step, and SageMaker allows 63 characters."""


def run_id_of(execution: str) -> str:
    """An execution's name, cut to what may stand in the name of a job; the same each time.

    Examples
    --------
    >>> run_id_of("manual-20260105-0300")
    'manual-20260105-0300'
    """
    name = re.sub(r"[^A-Za-z0-9-]+", "-", execution).strip("-")
    if name == execution and len(name) <= LONGEST_RUN_ID:
        return name
    start = name[: LONGEST_RUN_ID - 9].rstrip("-") or "run"
    return f"{start}-{hashlib.sha256(execution.encode()).hexdigest()[:8]}"
