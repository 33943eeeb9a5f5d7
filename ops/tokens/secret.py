"""Where the keys of tokens are: a ring in a secret, and the trees that it names as objects beside it."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import batched
from typing import Any

import msgspec

from fraud.tokens import Keyring, KeyTrees, Tokeniser, digest_of
from ops.deployment import Deployment
from runtime.auditing import PLATFORM, Entry, Trail
from runtime.keyring import trees_key

__all__ = ["RotationError", "Secret"]

_AT_ONCE = 1_000
"""Objects that S3 deletes in one call."""


class RotationError(Exception):
    """The keys cannot be changed now; the message says when they can. Nothing was changed."""


@dataclass(frozen=True)
class Secret:
    """The keys of a deployment's tokens.

    Parameters
    ----------
    client : SecretsManagerClient
    objects : S3Client
    bucket : str
        That of token keys.
    trail : Trail
        Who is told of changes.
    """

    client: Any
    secret_id: str
    objects: Any
    bucket: str
    trail: Trail

    @classmethod
    def of(cls, deployment: Deployment) -> "Secret":
        return cls(
            deployment.client("secretsmanager"),
            deployment["TokenSecret"],
            deployment.client("s3"),
            deployment["TokenKeysBucket"],
            deployment.trail,
        )

    def read(self) -> tuple[Keyring, str]:
        """The ring, and the version that it is."""
        found = self.client.get_secret_value(SecretId=self.secret_id)
        return Keyring.parse(found["SecretString"]), found["VersionId"]

    def tokeniser(self, ring: Keyring) -> Tokeniser:
        """What makes tokens under a ring.

        Raises
        ------
        KeyringError
            If the object that it names is another one by now.
        """
        trees = KeyTrees.parse(self._get(trees_key(ring.trees)), ring.trees) if ring.trees else None
        return Tokeniser(ring, trees)

    def put_trees(self, trees: KeyTrees) -> str:
        """Store trees and look whether they can be read again; return what a ring calls them."""
        content = trees.content()
        digest = digest_of(content)
        self._put(trees_key(digest), content)
        KeyTrees.parse(self._get(trees_key(digest)), digest)
        return digest

    def erased(self, ring: Keyring) -> list[str]:
        """The tokens whose traces are still to be deleted."""
        return msgspec.json.decode(self._get(_erased_key(ring.erased)), type=list[str]) if ring.erased else []

    def put_erased(self, tokens: list[str]) -> str:
        """Store such tokens; return what a ring calls them."""
        content = msgspec.json.encode(tokens)
        self._put(_erased_key(digest_of(content)), content)
        return digest_of(content)

    def tell(self, action: str, before: Keyring, after: Keyring, *, clock: int) -> None:
        """Record in the audit trail what is about to be made of the ring: names of keys and times, and no key."""
        entry: Entry = Entry(
            at=clock,
            who="operator",
            kind="token keys",
            subject=PLATFORM,
            action=action,
            before=_named(before),
            after=_named(after),
        )
        self.trail.record(entry)

    def write(self, ring: Keyring, after: str) -> str:
        """Put a ring in the place of a version; return the version that it became.

        Raises
        ------
        RotationError
            If somebody else changed that version first.
        """
        # The name of the next version follows from the one before: of two who follow it, AWS refuses the second.
        token = hashlib.sha256(f"{self.secret_id}\0{after}".encode()).hexdigest()
        try:
            self.client.put_secret_value(
                SecretId=self.secret_id, SecretString=ring.text(), ClientRequestToken=token
            )
        except self.client.exceptions.ResourceExistsException:
            raise RotationError("somebody else is changing the keys; look at `paywarden tokens status`") from None
        return token

    def replace(self, ring: Keyring, after: str) -> None:
        """Put a ring in the place of a version and of the one before it, and delete what it does not name.

        AWS keeps the version before the current one within reach, so that the secret is written twice.

        Raises
        ------
        RotationError
            If somebody else changed the keys meanwhile. Nothing was deleted then.
        """
        unnamed = self._unnamed(ring)
        self.write(ring, self.write(ring, after))
        self._delete(unnamed)

    def mend(self) -> bool:
        """Finish a change that was cut off; False if there is nothing to finish.

        Raises
        ------
        RotationError
            If somebody else changed the keys meanwhile. Nothing was deleted then.
        """
        ring, version = self.read()
        before = self._before()
        half = before is not None and not before.keys.items() <= ring.keys.items()
        unnamed = self._unnamed(ring)
        if half or unnamed:
            self.write(ring, version)
            self._delete(unnamed)
        return half or bool(unnamed)

    def within_reach(self) -> list[str]:
        """Ids of the secret's versions that hold a key which the current one does not.

        AWS deletes versions without a label in its own time; until then whoever may read the secret may ask for
        one by its id.
        """
        ring, _ = self.read()
        return [version for version, held in self._versions() if not held.keys.items() <= ring.keys.items()]

    def _before(self) -> Keyring | None:
        """The ring of the version before; None if there is none."""
        try:
            found = self.client.get_secret_value(SecretId=self.secret_id, VersionStage="AWSPREVIOUS")
        except self.client.exceptions.ResourceNotFoundException:
            return None
        return Keyring.parse(found["SecretString"])

    def _versions(self) -> Iterator[tuple[str, Keyring]]:
        asked: dict[str, Any] = {"SecretId": self.secret_id, "IncludeDeprecated": True}
        while True:
            page = self.client.list_secret_version_ids(**asked)
            for each in page["Versions"]:
                try:
                    found = self.client.get_secret_value(SecretId=self.secret_id, VersionId=each["VersionId"])
                except self.client.exceptions.ResourceNotFoundException:
                    continue  # deleted since it was listed
                yield each["VersionId"], Keyring.parse(found["SecretString"])
            if not page.get("NextToken"):
                return
            asked["NextToken"] = page["NextToken"]

    def _unnamed(self, ring: Keyring) -> list[dict[str, str]]:
        """Every version of every object that a ring does not name; it can be deleted after the next write only.

        Somebody else may have put one of them to name it in a ring of theirs, which follows the version that we
        know. Once our ring has followed that version, theirs is refused. What they put after it is not in this.
        """
        self.tokeniser(ring)  # before anything is deleted, that what is named is there
        named = {trees_key(ring.trees), _erased_key(ring.erased)}
        pages = self.objects.get_paginator("list_object_versions").paginate(Bucket=self.bucket)
        listed = [each for page in pages for kind in ("Versions", "DeleteMarkers") for each in page.get(kind, ())]
        return [
            {"Key": each["Key"], "VersionId": each["VersionId"]}
            for each in listed
            if each["Key"] not in named or not each["IsLatest"]
        ]

    def _delete(self, gone: Iterable[dict[str, str]]) -> None:
        for several in batched(gone, _AT_ONCE, strict=False):
            done = self.objects.delete_objects(
                Bucket=self.bucket, Delete={"Objects": list(several), "Quiet": True}
            )
            if refused := done.get("Errors"):
                raise RotationError(
                    f"{len(refused)} old objects of the bucket of token keys could not be deleted "
                    f"({refused[0].get('Code')}); allow s3:DeleteObjectVersion on it, and run this again"
                )

    def _get(self, key: str) -> bytes:
        content: bytes = self.objects.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return content

    def _put(self, key: str, content: bytes) -> None:
        self.objects.put_object(Bucket=self.bucket, Key=key, Body=content)


def _named(ring: Keyring) -> dict[str, Any]:
    return {
        "current": ring.current,
        "keys": sorted(ring.keys),
        "activates_at": ring.activates_at,
        "until": ring.until,
        "trees": ring.trees,
    }


def _erased_key(digest: str) -> str:
    return f"erased/{digest}"
