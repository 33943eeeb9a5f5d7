"""What rules, lists and policy have in common: versions, who changed them, and how changes are kept apart."""

import re
from datetime import UTC, datetime

import msgspec

from fraud.lists import StoredLists
from fraud.rules import StoredRules
from runtime.api import parameters
from runtime.http import Answer, Problem, Request
from runtime.stores.documents import MovedError, StoredPolicy
from runtime.stores.settings import SettingsStore, TooLargeError

from .models import VersionAnswer, VersionsAnswer, VersionsQuery

__all__ = ["asked", "author", "expected", "moment", "moved", "put", "shown", "versions"]

type Document = StoredRules | StoredLists | StoredPolicy


def author(request: Request) -> str:
    """Who asks for a change: the key that the request came with."""
    return f"key:{request.key_id}"


def moment(ms: int) -> str:
    """Milliseconds since the epoch as answers write them: RFC 3339 in UTC."""
    return datetime.fromtimestamp(ms / 1_000, UTC).isoformat()


def asked[T: Document](store: SettingsStore, request: Request, kind: type[T], version: int | None) -> T | None:
    """The version of a document that a request names, or the current one; None if nothing was ever set.

    Raises
    ------
    Problem
        404, if there is no such version.
    """
    found = store.get(request.merchant_id, kind, version)
    if found is None and version is not None:
        detail = "There is no such version. `GET` on the path with `/versions` lists those that there are."
        raise Problem(404, "unknown-version", "Unknown version", detail, "version")
    return found


def expected(request: Request, version: int) -> None:
    """Refuse a change that was meant for another version than the current one.

    Parameters
    ----------
    version : int
        The current one; 0 if nothing was ever set.

    Raises
    ------
    Problem
        412 if ``If-Match`` names another version, 400 if it names none.
    """
    if "if-match" not in request.headers:
        return
    given = request.headers["if-match"].strip()
    match = re.fullmatch(r'"([0-9]{1,12})"', given)
    if given != "*" and match is None:
        detail = 'Write the version as the ETag of an answer has it, such as "3", or leave the header out.'
        raise Problem(400, "invalid-field", "Invalid field", detail, "If-Match")
    if (match is not None and int(match[1]) != version) or (given == "*" and version == 0):
        detail = "Another version is current by now. Read it, and make the change on that one."
        raise Problem(412, "precondition-failed", "Precondition failed", detail, "If-Match")


def put[T: Document](store: SettingsStore, merchant_id: str, document: T) -> T:
    """Make a document the current one; return what is current now.

    Raises
    ------
    Problem
        409 if someone else was quicker, 413 if it is too large.
    """
    try:
        return store.put(merchant_id, document)
    except MovedError:
        raise moved() from None
    except TooLargeError:
        detail = "It takes too much room once it is checked. Leave some of it out, or use a list."
        raise Problem(413, "settings-too-large", "Settings too large", detail) from None


def moved() -> Problem:
    """Someone else changed the same thing at the same moment."""
    detail = "Someone else changed this at the same moment. Read it, and send the change again."
    return Problem(409, "changed-meanwhile", "Changed meanwhile", detail)


def shown(told: msgspec.Struct, version: int) -> Answer:
    """An answer with the version as its ETag."""
    return Answer(msgspec.json.encode(told).decode(), headers={"ETag": f'"{version}"'})


def versions(store: SettingsStore, request: Request, kind: type[Document]) -> Answer:
    """A page of a document's changes."""
    query = parameters(request.query, VersionsQuery)
    found = store.versions(request.merchant_id, kind, limit=query.limit, before=query.before)
    told = VersionsAnswer(
        versions=[
            VersionAnswer(version=each.version, changed_at=moment(each.changed_at), changed_by=each.changed_by)
            for each in found
        ],
        before=found[-1].version if len(found) == query.limit and found[-1].version > 1 else None,
    )
    return Answer(msgspec.json.encode(told).decode())
