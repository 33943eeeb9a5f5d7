"""What was known of each transaction at a moment: the point-in-time side of labels."""

from collections.abc import Iterable
from dataclasses import dataclass

from fraud.events import Label

__all__ = ["Known", "known_by", "label_of"]


@dataclass(frozen=True, slots=True)
class Known:
    """Labels by a moment.

    Attributes
    ----------
    verdicts : dict of str to bool
        Transaction's event_id to whether its latest label says fraud.
    events : list of Label
        Each label event once, at the first time it was known: what a feature store has folded.
    later : int
        Labels left out because they became known after the moment.
    implausible : int
        Labels left out because they claim to be known before their transaction took place.
    duplicates : int
    """

    verdicts: dict[str, bool]
    events: list[Label]
    later: int
    implausible: int
    duplicates: int


def known_by(labels: Iterable[Label], as_of: int) -> Known:
    """Resolve labels known at or before `as_of`; the latest wins, and fraud wins a tie.

    A later `confirmed_genuine` overrides a chargeback, which is how a dispute won is told, and a later
    chargeback overrides that again.
    """
    latest: dict[str, tuple[int, bool]] = {}
    first: dict[str, Label] = {}
    seen: set[tuple[str, str, int]] = set()
    later = implausible = duplicates = 0
    for label in labels:
        name = label.transaction.event_id
        if label.known_at > as_of:
            later += 1
            continue
        if label.known_at < label.transaction.event_time:
            implausible += 1
            continue
        if (name, label.kind, label.known_at) in seen:
            duplicates += 1
            continue
        seen.add((name, label.kind, label.known_at))
        latest[name] = max(latest.get(name, (label.known_at, False)), (label.known_at, label.is_fraud))
        earlier = first.get(label.event_id)
        if earlier is None or (label.known_at, label.kind) < (earlier.known_at, earlier.kind):
            first[label.event_id] = label
    return Known(
        verdicts={name: is_fraud for name, (_, is_fraud) in latest.items()},
        events=list(first.values()),
        later=later,
        implausible=implausible,
        duplicates=duplicates,
    )


def label_of(
    verdict: bool | None, event_time: int, *, as_of: int, maturity: int, keep_young_labelled: bool
) -> int | None:
    """Label of a row: 1 fraud, 0 genuine, None for a row that cannot be used yet.

    A row younger than `maturity` (ms) without a label is not a genuine one, since its fraud may not
    have been reported. A young row that has a label is left out too unless asked for: frauds are reported
    and genuine payments are not, so keeping those alone would fill the latest days with frauds only, and the
    latest days are what the model is judged on.
    """
    young = event_time > as_of - maturity
    if young and (verdict is None or not keep_young_labelled):
        return None
    return int(bool(verdict))
