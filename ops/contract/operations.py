"""The table of calls: what each takes, answers and refuses."""

from collections.abc import Iterator
from dataclasses import dataclass

from fraud.decision import Decision
from fraud.rules import Rules
from lambdas.backtest_rules.models import BacktestAnswer, BacktestRequest
from lambdas.manage_settings import models as settings
from runtime.contract import answers, requests
from runtime.contract.settings import PolicyRequest

__all__ = ["OPERATIONS", "Operation"]


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One call.

    Attributes
    ----------
    text : str
        Paragraphs, divided by empty lines.
    query : type or None
        A struct whose fields are the parameters after the question mark.
    refuses : tuple of str
        Kinds of problems beside those that every call, or every call with a body, can have.
    versioned : bool
        Whether the answer has an ``ETag``, and a change may come with ``If-Match``.
    """

    id: str
    group: str
    method: str
    path: str
    summary: str
    text: str
    answer: type
    status: int = 200
    request: type | None = None
    query: type | None = None
    refuses: tuple[str, ...] = ()
    versioned: bool = False

    @property
    def problems(self) -> Iterator[str]:
        """The kinds of problems that this call can have, by status."""
        yield from ("invalid-field", "bad-request")
        if self.request is not None:
            yield from ("invalid-body", "card-number", "body-too-large", "unsupported-media-type")
        elif "{" in self.path:
            yield "card-number"
        yield from self.refuses
        yield from ("unauthorized", "forbidden", "blocked", "throttled", "quota-exceeded", "internal")


_CHANGES = ("changed-meanwhile", "precondition-failed", "unavailable")
_LISTS = ("list-field-fixed", "list-in-use", "too-many-lists")

OPERATIONS = (
    Operation(
        id="decide",
        group="Decisions",
        method="POST",
        path="/v1/decisions",
        summary="Decide on a payment",
        text="Scores one payment and decides on it.\n\n"
        "A payment is decided once. The same `transaction_id` with the same body gets the first answer again, "
        "byte for byte, however often it is sent and even if two requests race; spacing and the order of fields "
        "do not matter. So after a timeout, send the same request again. Much later it may be refused as "
        "`id-reused`; `GET /v1/decisions/{transaction_id}` has the decision still.",
        request=requests.DecisionRequest,
        answer=Decision,
        refuses=("replay-refused", "id-reused", "unavailable"),
    ),
    Operation(
        id="decide_batch",
        group="Decisions",
        method="POST",
        path="/v1/decisions/batch",
        summary="Decide on up to 100 payments",
        text="Decides on each payment as if it had been sent by itself, in the order given. One that is refused "
        "has a problem in its place, with paths that start at the payment; the others are decided. The status is "
        "200 for the whole.",
        request=requests.BatchRequest,
        answer=answers.BatchAnswer,
        refuses=("replay-refused", "unavailable"),
    ),
    Operation(
        id="read_decision",
        group="Decisions",
        method="GET",
        path="/v1/decisions/{transaction_id}",
        summary="Read a decision",
        text="Tells a decision as it was answered, why the score is what it is, and what was reported since. "
        "Approvals have their reasons here only.",
        answer=answers.StoredDecision,
        refuses=("unknown-transaction", "not-found", "unavailable"),
    ),
    Operation(
        id="record_outcome",
        group="Reports",
        method="POST",
        path="/v1/decisions/{transaction_id}/outcome",
        summary="Report what was done with a payment",
        text="Reports what the issuer or you did with a payment after its decision. Features look at it: cards, "
        "devices, addresses and card ranges whose payments keep being declined.\n\n"
        "The outcome counts from its receipt on, so report it when it happens. A payment has each outcome once: a "
        "second report of the same one gets the first one's answer and changes nothing.",
        request=requests.OutcomeRequest,
        answer=answers.OutcomeRecorded,
        status=202,
        refuses=("replay-refused", "unknown-transaction", "not-found", "unavailable"),
    ),
    Operation(
        id="record_label",
        group="Reports",
        method="POST",
        path="/v1/labels",
        summary="Report what became known of a payment",
        text="Reports a chargeback, a confirmed fraud or a confirmed genuine payment, who said so and how sure "
        "they are. Features and training use it.\n\nA label is corrected by a later one: the last that became "
        "known holds, and those before it are kept. A report that says nothing new (the verdict that holds, from "
        "a source that has said so and was as sure) gets the first one's answer and changes nothing.",
        request=requests.LabelRequest,
        answer=answers.LabelRecorded,
        status=202,
        refuses=("replay-refused", "unknown-transaction", "too-many-labels", "unavailable"),
    ),
    Operation(
        id="read_rules",
        group="Settings",
        method="GET",
        path="/v1/rules",
        summary="Read your rules",
        text="Your current rules, or those of an earlier version, each with what it was understood to mean.",
        query=settings.VersionQuery,
        answer=settings.RulesAnswer,
        refuses=("unknown-version", "unavailable"),
        versioned=True,
    ),
    Operation(
        id="change_rules",
        group="Settings",
        method="PUT",
        path="/v1/rules",
        summary="Replace your rules",
        text="Puts other rules in the place of all that there are. Each is checked first: against the fields of a "
        "payment, the features and your lists.",
        request=Rules,
        answer=settings.RulesAnswer,
        refuses=("invalid-rule", "settings-too-large", *_CHANGES),
        versioned=True,
    ),
    Operation(
        id="backtest_rules",
        group="Settings",
        method="POST",
        path="/v1/rules/backtest",
        summary="Try rules or a policy on past payments",
        text="What a draft would have done over past decisions: by action, in counts and money, with true and "
        "false positives where labels are known. What the draft leaves out is as you have it now. Nothing is "
        "changed.",
        request=BacktestRequest,
        answer=BacktestAnswer,
        refuses=("invalid-rule", "no-decisions", "backtest-too-slow", "unavailable"),
    ),
    Operation(
        id="list_rule_versions",
        group="Settings",
        method="GET",
        path="/v1/rules/versions",
        summary="List the versions of your rules",
        text="Who changed the rules when, the newest change first.",
        query=settings.VersionsQuery,
        answer=settings.VersionsAnswer,
        refuses=("unavailable",),
    ),
    Operation(
        id="read_policy",
        group="Settings",
        method="GET",
        path="/v1/policy",
        summary="Read your policy",
        text="What is done at which score: your own policy, or the platform's as long as you have none.",
        query=settings.VersionQuery,
        answer=settings.PolicyAnswer,
        refuses=("unknown-version", "unavailable"),
        versioned=True,
    ),
    Operation(
        id="change_policy",
        group="Settings",
        method="PUT",
        path="/v1/policy",
        summary="Set your policy",
        text="Sets a policy of your own: thresholds of the score, or the costs of each action, of which the "
        "cheapest is then taken. Exactly one of `thresholds` and `costs` is given.",
        request=PolicyRequest,
        answer=settings.PolicyAnswer,
        refuses=("settings-too-large", *_CHANGES),
        versioned=True,
    ),
    Operation(
        id="give_up_policy",
        group="Settings",
        method="DELETE",
        path="/v1/policy",
        summary="Go back to the platform's policy",
        text="Gives up your own policy; its versions stay.",
        answer=settings.PolicyAnswer,
        refuses=_CHANGES,
        versioned=True,
    ),
    Operation(
        id="list_policy_versions",
        group="Settings",
        method="GET",
        path="/v1/policy/versions",
        summary="List the versions of your policy",
        text="Who changed the policy when, the newest change first.",
        query=settings.VersionsQuery,
        answer=settings.VersionsAnswer,
        refuses=("unavailable",),
    ),
    Operation(
        id="list_lists",
        group="Settings",
        method="GET",
        path="/v1/lists",
        summary="Read your lists",
        text="Every list, without its entries.",
        answer=settings.ListsAnswer,
        refuses=("unavailable",),
        versioned=True,
    ),
    Operation(
        id="read_list",
        group="Settings",
        method="GET",
        path="/v1/lists/{name}",
        summary="Read a list",
        text="A list and a page of its entries. Values that identify people are shown as tokens.",
        query=settings.ListQuery,
        answer=settings.ListAnswer,
        refuses=("unknown-list", "not-found", "unavailable"),
        versioned=True,
    ),
    Operation(
        id="change_list",
        group="Settings",
        method="PUT",
        path="/v1/lists/{name}",
        summary="Make or change a list",
        text="A list blocks, allows or sends to review every payment whose field is on it. Its entries stay.",
        request=settings.ListRequest,
        answer=settings.ListAnswer,
        refuses=("not-found", *_LISTS, "settings-too-large", *_CHANGES),
        versioned=True,
    ),
    Operation(
        id="remove_list",
        group="Settings",
        method="DELETE",
        path="/v1/lists/{name}",
        summary="Remove a list",
        text="Removes a list with all that is on it; the answer has those that are left. What is made under its "
        "name later begins empty.",
        answer=settings.ListsAnswer,
        refuses=("unknown-list", "not-found", "list-in-use", *_CHANGES),
        versioned=True,
    ),
    Operation(
        id="change_entries",
        group="Settings",
        method="POST",
        path="/v1/lists/{name}/entries",
        summary="Put values on a list, or take them off",
        text="At most 50 values in one request. A value that is on the list already gets the end and the note of "
        "this request.",
        request=settings.EntriesRequest,
        answer=settings.EntriesAnswer,
        refuses=("unknown-list", "not-found", "changed-meanwhile", "unavailable"),
    ),
    Operation(
        id="health",
        group="Health",
        method="GET",
        path="/v1/health",
        summary="See whether payments are decided as they should be",
        text="For synthetic canaries. It answers 200 with `degraded` as long as payments are decided at all.",
        answer=answers.Health,
        refuses=("unavailable",),
    ),
)
