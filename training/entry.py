"""The container's first process: it hands the job's folders to a user without rights, and goes on as that user.

SageMaker mounts its folders for root and starts every container as root, so an image that names another user could
write neither the model nor the reason of a failure. Only this file runs with rights; the program itself, and all
that it imports, does not.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from training.contract import Contract

__all__ = ["USER", "become", "hand_over", "main"]

USER = 10_001
"""Number of the user and of its group; the Dockerfile makes both."""

_FAILED = 1
_READ, _ENTER = 0o444, 0o111


def hand_over(contract: Contract, user: int) -> None:
    """Give the folders that a job writes to a user, and let it read what the job was given.

    Checkpoints of an earlier machine are among what it writes: they are removed when newer ones are there.

    Parameters
    ----------
    user : int
        Number of the user and of its group.

    Raises
    ------
    OSError
        A folder to write cannot be given away.
    """
    for folder in contract.written:
        folder.mkdir(parents=True, exist_ok=True)
        for path in _below(folder):
            os.chown(path, user, user, follow_symlinks=False)
    for path in (each for folder in contract.given for each in _below(folder)):
        # Where an input is mounted read-only it is as it is; whoever cannot read it says so.
        with suppress(OSError):
            path.chmod(path.stat().st_mode | _READ | (_ENTER if path.is_dir() else 0))


def become(user: int) -> None:
    """Give up root for good.

    Raises
    ------
    OSError
        This process may not.
    """
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)


def _below(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield folder
        yield from sorted(folder.rglob("*"))


def main(arguments: Sequence[str], contract: Contract) -> int:
    """Hand over and go on; comes back only where that failed, with the exit code."""
    if os.geteuid() == 0:
        try:
            hand_over(contract, USER)
            become(USER)
        except OSError as error:
            reason = (
                f"The program's first process cannot hand over to user {USER} ({error}), and does not run as root."
            )
            contract.write_failure(reason, processing=list(arguments[:1]) != ["train"])
            sys.stderr.write(f"error: {reason}\n")
            return _FAILED
    # In place of this process, so that the signal of a machine that is taken away reaches the program.
    os.execve(sys.executable, [sys.executable, "-m", "training", *arguments], contract.surroundings())  # noqa: S606 - this very program, no shell


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:], Contract.from_env()))
