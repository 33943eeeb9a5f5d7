"""The calls of the merchants' API, made for a merchant by an operator."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import msgspec

from fraud.features import STANDARD
from fraud.policy import Policy
from fraud.tokens import Tokeniser
from lambdas.manage_settings.lists import ListCalls
from lambdas.manage_settings.policy import PolicyCalls
from lambdas.manage_settings.rules import RuleCalls
from ops.deployment import Deployment
from ops.times import now
from runtime.configuration import Profile, current
from runtime.http import Answer, Problem, Request
from runtime.stores.batches import ThrottledError
from runtime.stores.documents import SettingsError
from runtime.stores.settings import SettingsStore

__all__ = ["Desk", "RefusedError", "refusing"]


class RefusedError(Exception):
    """What an operator asks for cannot be done; the message says where and why."""


@dataclass(frozen=True, kw_only=True)
class Desk:
    """The settings of one merchant.

    Parameters
    ----------
    default : callable
        The platform's policy.
    by : str
        The operator's name, which changes are recorded under; needed for changes only.
    clock : callable
        Wall-clock milliseconds.

    Raises
    ------
    RefusedError
        If `by` is no name.
    """

    merchant_id: str
    store: SettingsStore
    tokeniser: Callable[[], Tokeniser]
    default: Callable[[], Policy]
    by: str = ""
    clock: Callable[[], int] = field(default=now)

    def __post_init__(self) -> None:
        if self.by and not re.fullmatch(r"[A-Za-z0-9_.@-]{1,64}", self.by):
            raise RefusedError("--by: a name has 1 to 64 letters, digits or `_ . @ -`")

    @classmethod
    def of(cls, deployment: Deployment, merchant_id: str, *, by: str = "") -> Self:
        """The settings of a merchant of a deployment.

        Raises
        ------
        RefusedError
            If there is no such merchant.
        """
        if deployment.merchants().account(merchant_id) is None:
            raise RefusedError(f"there is no merchant {merchant_id!r}; `paywarden merchants list` shows all")
        profile = Profile(
            deployment["AppConfigApplication"],
            deployment["AppConfigEnvironment"],
            deployment["AppConfigProfile"],
        )
        return cls(
            merchant_id=merchant_id,
            store=deployment.settings(),
            tokeniser=deployment.tokeniser,
            default=lambda: current(deployment.client("appconfigdata"), profile).policy,
            by=by,
        )

    @property
    def author(self) -> str:
        """What changes are recorded under."""
        return f"operator:{self.by}"

    @property
    def rules(self) -> RuleCalls:
        return RuleCalls(self.store, STANDARD, self.clock, lambda _request: self.author)

    @property
    def policy(self) -> PolicyCalls:
        return PolicyCalls(self.store, self.default, self.clock, lambda _request: self.author)

    @property
    def lists(self) -> ListCalls:
        return ListCalls(self.store, self.tokeniser, self.clock, lambda _request: self.author)

    def ask(
        self,
        call: Callable[[Request], Answer],
        *,
        body: bytes = b"",
        name: str = "",
        query: Mapping[str, object] | None = None,
        based_on: int | None = None,
    ) -> Any:
        """Make a call; return what it answers.

        Parameters
        ----------
        based_on : int, optional
            The version that a change is meant for.

        Raises
        ------
        RefusedError
            With the field at fault.
        """
        request = Request(
            merchant_id=self.merchant_id,
            request_id="operator",
            body=body,
            headers={} if based_on is None else {"if-match": f'"{based_on}"'},
            path={"name": name} if name else {},
            query={key: str(value) for key, value in (query or {}).items() if value is not None},
        )
        with refusing():
            return msgspec.json.decode(call(request).body)


@contextmanager
def refusing(place: str = "") -> Iterator[None]:
    """Problems and a store that fails as errors of the command line, told at a place if there is one."""
    try:
        yield
    except Problem as problem:
        told = [place, str(problem.body.get("field", "")), str(problem)]
        raise RefusedError(": ".join(each for each in told if each)) from None
    except (SettingsError, ThrottledError) as error:
        raise RefusedError(f"{error}; what was stored by then is left alone by another attempt") from error
