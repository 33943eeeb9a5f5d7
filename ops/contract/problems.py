"""Every kind of problem that a merchant can be answered with."""

from dataclasses import dataclass

__all__ = ["PROBLEMS", "Kind", "kind"]


@dataclass(frozen=True)
class Kind:
    """One kind of problem.

    Attributes
    ----------
    name : str
        The last part of the problem's ``type``.
    when, remedy : str
        Sentences: what leads to it, and what to do.
    """

    name: str
    status: int
    title: str
    when: str
    remedy: str


_SAME_AGAIN = "Send the same request again after a moment: a payment is never decided twice."

PROBLEMS = (
    Kind(
        "invalid-body",
        400,
        "Invalid body",
        "The body is not one JSON document in UTF-8, is nested too deeply, or has a field twice in one object.",
        "Check what your HTTP client sends. A byte order mark and UTF-16 are refused too.",
    ),
    Kind(
        "invalid-field",
        400,
        "Invalid field",
        "A field, a header or a parameter is missing, unknown, of the wrong type or out of bounds.",
        "`field` names it, and `detail` says what it takes.",
    ),
    Kind(
        "invalid-rule",
        400,
        "Invalid rule",
        "A rule's condition cannot be read, names something unknown or compares what cannot be compared.",
        "`field` names the rule, and `detail` the place in its condition, often with a suggestion.",
    ),
    Kind(
        "card-number",
        400,
        "Raw card number",
        "13 to 19 digits that pass the Luhn check stand somewhere in the request. Nothing of it was logged or "
        "stored.",
        "Send a network token or a fingerprint. An id of your own that passes by chance is refused as well: put a "
        "letter between its digits.",
    ),
    Kind(
        "replay-refused",
        400,
        "Replay refused",
        "`Paywarden-Replay-Time` was sent where history is not replayed.",
        "Leave the header out.",
    ),
    Kind(
        "bad-request",
        400,
        "The request was refused",
        "The request did not get as far as any call.",
        "Check the path, the method and the headers.",
    ),
    Kind(
        "unauthorized",
        401,
        "No valid merchant key was given",
        "There is no key, or it is unknown, expired or disabled.",
        "Send `Authorization: Bearer` and a live key. After a rotation, use the new one.",
    ),
    Kind(
        "forbidden",
        403,
        "The merchant key does not allow this",
        "The key is known but may not make this call, or has no usage plan.",
        "Ask the operators.",
    ),
    Kind(
        "blocked",
        403,
        "The firewall stopped the request",
        "It looks like an attack, or comes from an address that attacks came from.",
        "Tell the operators, with the time and the address.",
    ),
    Kind(
        "not-found",
        404,
        "There is no such call",
        "No call has this path.",
        "Check the path, and that an id in it is percent-encoded where it has to be.",
    ),
    Kind(
        "unknown-transaction",
        404,
        "Unknown transaction",
        "No payment of yours was decided under this id. Another merchant's id looks the same.",
        "Send the payment first, and check the id.",
    ),
    Kind(
        "no-decisions",
        404,
        "No decisions",
        "There is no decision of yours in the time that was asked for.",
        "Ask for a longer time. The lake lags by some minutes.",
    ),
    Kind(
        "unknown-list",
        404,
        "Unknown list",
        "You have no list of this name.",
        "Make it with `PUT`, or check the name.",
    ),
    Kind(
        "unknown-version",
        404,
        "Unknown version",
        "There is no such version.",
        "Ask for the versions that there are.",
    ),
    Kind(
        "method-not-allowed",
        405,
        "Method not allowed",
        "The path does not take this method.",
        "The header `Allow` names the ones that it takes.",
    ),
    Kind(
        "too-many-labels",
        409,
        "Too many labels",
        "The verdict on the payment changed as often as it may.",
        "Find out why it keeps changing: no payment turns from fraud to genuine and back dozens of times.",
    ),
    Kind(
        "id-reused",
        409,
        "Id used before",
        "The `transaction_id` was used before, with another body or with one that cannot be compared any more.",
        "Use a new id for a new payment. For a retry, send exactly what you sent at first; if that is refused, "
        "`GET /v1/decisions/{transaction_id}` has the decision.",
    ),
    Kind(
        "changed-meanwhile",
        409,
        "Changed meanwhile",
        "Somebody else changed the same settings at the same moment.",
        "Read them, and send your change again.",
    ),
    Kind(
        "list-field-fixed",
        409,
        "Field is fixed",
        "A list that exists was sent with another `field`.",
        "Make a list of another name.",
    ),
    Kind(
        "list-in-use",
        409,
        "List in use",
        "A list that enabled rules ask for was to be disabled or removed.",
        "Change or disable those rules first.",
    ),
    Kind(
        "too-many-lists",
        409,
        "Too many lists",
        "There are as many lists as a merchant may have.",
        "Put the values on a list that exists.",
    ),
    Kind(
        "precondition-failed",
        412,
        "Precondition failed",
        "`If-Match` names a version that is not the current one any more.",
        "Read the current version, and make your change on that one.",
    ),
    Kind(
        "body-too-large",
        413,
        "Body too large",
        "The body has more than 65,536 bytes, or a batch more than 524,288.",
        "Send less in one request, such as a batch in parts.",
    ),
    Kind(
        "settings-too-large",
        413,
        "Settings too large",
        "The settings take more room than they may once they are checked.",
        "Leave some of them out, or use lists in place of long conditions.",
    ),
    Kind(
        "unsupported-media-type",
        415,
        "Unsupported media type",
        "The body is said to be something else than JSON in UTF-8, or is compressed.",
        "Send `Content-Type: application/json`, and no `Content-Encoding`.",
    ),
    Kind(
        "throttled",
        429,
        "Too many requests",
        "More requests came than the usage plan allows in a second, or one address in five minutes.",
        "Wait as long as `Retry-After` says, then send the same request again.",
    ),
    Kind(
        "quota-exceeded",
        429,
        "The merchant's quota is used up",
        "The month's requests are used up.",
        "Ask the operators for a larger quota.",
    ),
    Kind("internal", 500, "The platform failed", "The platform failed. This should not happen.", _SAME_AGAIN),
    Kind(
        "backtest-too-slow",
        503,
        "Backtest too slow",
        "Judging the past decisions took longer than a caller can wait.",
        "Ask for a shorter time.",
    ),
    Kind(
        "unavailable",
        503,
        "Unavailable",
        "The platform cannot keep or read at the moment what it must not answer without.",
        "Wait as long as `Retry-After` says. " + _SAME_AGAIN,
    ),
)

_BY_NAME = {each.name: each for each in PROBLEMS}


def kind(name: str) -> Kind:
    """The kind of a name; KeyError if it is not in the catalogue."""
    return _BY_NAME[name]
