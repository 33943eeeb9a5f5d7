"""What a demo found, as data: written to report.json and rendered as a page."""

import msgspec

__all__ = ["ModelFigures", "Report", "Spread", "Step", "Velocity"]


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step: what it claims, and whether that held."""

    name: str
    claim: str
    ok: bool
    seconds: float
    detail: str


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """Percentiles of durations, in milliseconds."""

    p50: float
    p95: float
    p99: float
    worst: float
    count: int


class ModelFigures(msgspec.Struct, frozen=True, kw_only=True):
    """A model on the later payments; `trained_until` in ms since the epoch."""

    version: str
    role: str
    auc: float
    average_precision: float
    trained_until: int
    precision: list[float]
    recall: list[float]
    scores_fraud: list[float]
    scores_genuine: list[float]


class Velocity(msgspec.Struct, frozen=True, kw_only=True):
    """One of the successive answers about one card at one merchant."""

    at: int
    amount: int
    count_24h: float
    decision: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All of it; see the fields' names. Durations in `samples` and `latency` are in milliseconds.

    What a demo did not come to is empty.
    """

    generated_at: str
    seed: int
    seconds: float
    ok: bool
    steps: list[Step]
    resources: dict[str, int] = {}
    traffic: dict[str, int] = {}
    decisions: dict[str, int] = {}
    decisions_by_model: dict[str, int] = {}
    latency: dict[str, Spread] = {}
    freshness: Spread = Spread(p50=0, p95=0, p99=0, worst=0, count=0)
    later_rows: int = 0
    later_frauds: int = 0
    models: list[ModelFigures] = []
    velocity: list[Velocity] = []
    samples: dict[str, list[float]] = {}
    timeline: list[dict[str, str | int]] = []
    workflow: list[dict[str, str | float]] = []
    verdicts: list[str] = []
