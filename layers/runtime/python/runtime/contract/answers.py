"""What merchants are answered, beside `fraud.decision.Decision`."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from fraud.decision import Decision, GivenReason
from fraud.events import Confidence, LabelKind, LabelSource, OutcomeKind
from runtime.http import Problem

__all__ = [
    "BatchAnswer",
    "BatchResult",
    "Health",
    "LabelRecorded",
    "OutcomeRecorded",
    "ProblemDocument",
    "StoredDecision",
    "batch_answer",
]


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    pass


class ProblemDocument(_Answer, frozen=True, kw_only=True):
    """What is wrong with a request (RFC 9457)."""

    type: Annotated[str, Meta(pattern="^/problems/", description="Stable: what a program decides by.")]
    title: str
    status: int
    detail: Annotated[str, Meta(description="A sentence to act on; it never repeats what was sent.")]
    field: Annotated[str, Meta(description="The path of the field at fault, if it is one.")] | UnsetType = UNSET
    request_id: Annotated[str, Meta(description="What an operator needs to find the request.")]


class BatchResult(_Answer, frozen=True):
    """What one payment of a batch would have been answered by itself: a decision or a problem."""

    status: int
    decision: Decision | UnsetType = UNSET
    problem: ProblemDocument | UnsetType = UNSET


class BatchAnswer(_Answer, frozen=True):
    """One result for each payment, in the order in which they were sent."""

    results: list[BatchResult]


class OutcomeRecorded(_Answer, frozen=True):
    """An outcome that is on record."""

    transaction_id: str
    outcome: OutcomeKind
    received_at: Annotated[str, Meta(description="RFC 3339: the outcome counts from then on.")]


class LabelRecorded(_Answer, frozen=True):
    """A label that is on record."""

    transaction_id: str
    label: LabelKind
    known_at: Annotated[str, Meta(description="RFC 3339.")]
    source: Annotated[LabelSource, Meta(description="Who said so.")] = "merchant"
    confidence: Confidence = 1.0


class StoredDecision(_Answer, frozen=True):
    """A decision as it was answered, and what was reported of its payment since."""

    decision: Annotated[Decision, Meta(description="As it was answered, byte for byte.")]
    reasons: Annotated[
        list[GivenReason] | None,
        Meta(
            description="Those of the decision, or worked out from what the model saw then; null if that model is "
            "not kept any more."
        ),
    ]
    labels: Annotated[
        list[LabelRecorded],
        Meta(description="Every change of verdict, in the order in which it became known: the last one holds."),
    ]
    outcomes: list[OutcomeRecorded]


class Health(_Answer, frozen=True):
    """Whether payments are decided as they should be."""

    status: Annotated[
        Literal["ok", "degraded"],
        Meta(
            description="`degraded`: payments are decided without a model or without their history, or, without "
            "`keys`, not at all."
        ),
    ]
    champion: Annotated[str | None, Meta(description="The version of the model that decides, if there is one.")]
    policy: Annotated[str, Meta(description="The version of the policy that decides.")]
    since: Annotated[int, Meta(description="When this process began to serve, in ms since 1970-01-01 UTC.")]
    checks: Annotated[
        dict[str, Literal["ok", "failed"]], Meta(description="Each part that a decision needs, such as `store`.")
    ]


def batch_answer(results: Sequence[str | Problem], request_id: str) -> str:
    """The JSON of a `BatchAnswer`.

    Parameters
    ----------
    results : sequence of str or Problem
        Each decision as JSON, which stays as it is byte for byte, or why there is none.
    """

    def told(result: str | Problem) -> dict[str, Any]:
        if isinstance(result, Problem):
            return {"status": result.status, "problem": result.document(request_id)}
        return {"status": 200, "decision": msgspec.Raw(result.encode())}

    return msgspec.json.encode({"results": [told(each) for each in results]}).decode()
