"""What was told about each payment, out of the log of what was sent and answered."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import msgspec
from msgspec import UNSET, UnsetType

from fraud.tokens import Tokeniser
from runtime.api import Problem, body_digest, parse
from runtime.contract.answers import ProblemDocument
from runtime.contract.requests import DecisionRequest
from tests.load.generator import Exchange

__all__ = ["Digest", "Told", "sealing", "told"]

type Digest = Callable[[str, bytes], str]
"""Of a merchant and a body that it sent."""


class _Result(msgspec.Struct, frozen=True):
    status: int
    decision: msgspec.Raw | UnsetType = UNSET
    problem: ProblemDocument | UnsetType = UNSET


class _Results(msgspec.Struct, frozen=True):
    results: list[_Result]


class _Named(msgspec.Struct, frozen=True):
    transaction_id: str


class _Payments(msgspec.Struct, frozen=True):
    decisions: list[msgspec.Raw]


class _Stored(msgspec.Struct, frozen=True):
    decision: msgspec.Raw


@dataclass(frozen=True)
class Told:
    """One payment in one exchange.

    Attributes
    ----------
    event_id : str
    digest : str
        Of the body that it was sent with, as the ledger has it; empty where it was only asked about.
    status : int
        As if it had been sent alone.
    decision : str
        The bytes of the decision; empty without one.
    problem : ProblemDocument or None
    """

    exchange: Exchange
    event_id: str
    digest: str
    status: int
    decision: str = ""
    problem: ProblemDocument | None = None


def sealing(tokeniser: Tokeniser) -> Digest:
    """The digests that the ledger keeps of payments which are sent now."""
    now = time.time_ns() // 1_000_000

    def digest(merchant: str, body: bytes) -> str:
        try:
            raw = parse(body, DecisionRequest).transaction(merchant, now)
        except Problem:
            # It is refused, and nothing is kept of it.
            return body_digest(body)
        return body_digest(body, tokeniser.sealed(raw)[0].secret)

    return digest


def told(exchanges: Iterable[Exchange], digest: Digest) -> Iterator[Told]:
    """All that was told, in the order of the answers.

    Raises
    ------
    msgspec.MsgspecError
        If an answer with status 200 is none that the contract knows.
    """
    for exchange in exchanges:
        call = exchange.call
        if call.kind == "batch":
            yield from _of_batch(exchange, digest)
            continue
        name = (
            msgspec.json.decode(call.body, type=_Named).transaction_id
            if _decides(exchange)
            else _in_path(call.path)
        )
        of_body = digest(call.merchant, call.body.encode()) if _decides(exchange) else ""
        decision, problem = "", None
        if exchange.status >= 400:
            problem = _problem(exchange.answer)
        elif call.kind == "read" and exchange.status == 200:
            decision = bytes(msgspec.json.decode(exchange.answer, type=_Stored).decision).decode()
        elif exchange.status == 200:
            decision = exchange.answer
        yield Told(exchange, f"{call.merchant}/{name}", of_body, exchange.status, decision, problem)


def _of_batch(exchange: Exchange, digest: Digest) -> Iterator[Told]:
    call = exchange.call
    payments = [bytes(each) for each in msgspec.json.decode(call.body, type=_Payments).decisions]
    if exchange.status == 200:
        results = msgspec.json.decode(exchange.answer, type=_Results).results
    else:
        results = [_Result(exchange.status, UNSET, _problem(exchange.answer) or UNSET)] * len(payments)
    for payment, result in zip(payments, results, strict=True):
        name = msgspec.json.decode(payment, type=_Named).transaction_id
        decision = "" if result.decision is UNSET else bytes(result.decision).decode()
        problem = None if result.problem is UNSET else result.problem
        of_body = digest(call.merchant, payment)
        yield Told(exchange, f"{call.merchant}/{name}", of_body, result.status, decision, problem)


def _problem(answer: str) -> ProblemDocument | None:
    """The problem document, or None: that an error has none is for the checks to tell."""
    try:
        return msgspec.json.decode(answer, type=ProblemDocument)
    except msgspec.DecodeError:
        return None


def _decides(exchange: Exchange) -> bool:
    return exchange.call.path == "/v1/decisions"


def _in_path(path: str) -> str:
    return path.split("/")[3]
