"""Folds in time: train, wait as long as labels take, test. Times are milliseconds since the epoch, UTC.

The delay is not for the payments but for what is known of them: a model that serves from the start of a test
window was fitted before it, on labels that had arrived by then.
"""

from dataclasses import dataclass

__all__ = ["DAY_MS", "Fold", "Window", "weekly"]

DAY_MS = 86_400_000

type Window = tuple[int, int]
"""From the first time up to, and without, the second, in ms."""


@dataclass(frozen=True, slots=True)
class Fold:
    """Payments to learn from, and later payments to be judged on.

    Attributes
    ----------
    train, test : (int, int)
        Half-open windows in ms; the gap between them is the delay of labels.
    """

    train: Window
    test: Window

    @property
    def known_at(self) -> int:
        """When the model has to be ready, in ms: a label that became known later must have no influence on it."""
        return self.test[0]


def weekly(first_test: int, train_days: int, delay_days: int, test_days: int, folds: int) -> tuple[Fold, ...]:
    """Folds one after the other, each moved on by the length of its test window.

    Parameters
    ----------
    first_test : int
        Start of the first test window, in ms.
    train_days : int
        Length of the training windows; each ends `delay_days` before its test window starts.
    delay_days : int
        How long labels take.
    test_days : int
        Length of the test windows, 7 for weeks; they touch and do not overlap.
    folds : int
        How many.

    Raises
    ------
    ValueError
        A length is not at least one day (the delay: 0), or there is no fold.

    Examples
    --------
    >>> fold, _ = weekly(first_test=14 * DAY_MS, train_days=7, delay_days=7, test_days=7, folds=2)
    >>> [day // DAY_MS for day in (*fold.train, *fold.test)]
    [0, 7, 14, 21]
    """
    for name, value, least in (
        ("train_days", train_days, 1),
        ("delay_days", delay_days, 0),
        ("test_days", test_days, 1),
        ("folds", folds, 1),
    ):
        if value < least:
            raise ValueError(f"{name} must be at least {least}, not {value}.")
    starts = (first_test + number * test_days * DAY_MS for number in range(folds))
    return tuple(
        Fold(
            train=(start - (delay_days + train_days) * DAY_MS, start - delay_days * DAY_MS),
            test=(start, start + test_days * DAY_MS),
        )
        for start in starts
    )
