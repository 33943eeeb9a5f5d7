"""Phases 10 and 11: the model decides on a share of the payments, then on all of them, and is watched."""

from infra.workflows.release import change, watch
from infra.workflows.states import State, choose

__all__ = ["canary", "promote"]


def canary(*, next_state: str, back: str) -> dict[str, State]:
    """Decide on a share of the payments until that was enough to trust it with all of them."""
    return watch("canary", begin="StartCanary", action="canary", done=next_state, back=back)


def promote(*, served: str, back: str) -> dict[str, State]:
    """Make it the champion; with a probation, the champion before it stays at hand until that is over."""
    return {
        "WatchesPromotion": choose(("$.phases.probation", True, "EnterProbation"), otherwise="PromoteModel"),
        **change(
            "PromoteModel", action="promote", at="promotion", reason="$.registered.reason", next_state=served
        ),
        **watch("probation", begin="PromoteOnProbation", action="promote", done="ConfirmModel", back=back),
        **change("ConfirmModel", action="confirm", at="probation", reason="$.verdict.reason", next_state=served),
    }
