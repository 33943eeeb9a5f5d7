"""The catalogue of features: shown, written down for people, and compared between revisions."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from fraud.features import STANDARD, FeatureSet
from fraud.features.catalogue import describe
from fraud.features.definitions import Distinct, Reason, WindowFeature
from fraud.windows import written

__all__ = [
    "CATALOGUE",
    "PAGE",
    "REASONS",
    "CatalogueError",
    "Difference",
    "cost",
    "document",
    "find",
    "page",
    "reasons_page",
    "since",
]

ROOT = Path(__file__).resolve().parents[2]
CATALOGUE = ROOT / "docs" / "features.json"
PAGE = ROOT / "docs" / "features.md"
REASONS = ROOT / "docs" / "reasons.md"


class CatalogueError(Exception):
    """A feature or a revision cannot be found; the message says what there is."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What changed from one catalogue to another, by the features' names.

    Attributes
    ----------
    changed : dict of name to dict of field to (before, after)
        A published definition that changed without a new version: its name should have changed with it.
    """

    before: str
    after: str
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: Mapping[str, Mapping[str, tuple[Any, Any]]]


def document(features: FeatureSet = STANDARD) -> str:
    """The catalogue as it is committed, so that any revision can be compared with any other."""
    return json.dumps(describe(features), indent=1, sort_keys=True) + "\n"


def find(name: str, features: FeatureSet = STANDARD) -> Mapping[str, Any]:
    """One feature's document.

    Raises
    ------
    CatalogueError
        If there is none of that name; close ones are suggested.
    """
    for told in describe(features)["features"]:
        if told["name"] == name:
            found: Mapping[str, Any] = told
            return found
    close = get_close_matches(name, features.names, n=3)
    hint = f"did you mean {', '.join(close)}?" if close else "`paywarden features list` shows all of them"
    raise CatalogueError(f"there is no feature {name!r}; {hint}")


def since(revision: str, features: FeatureSet = STANDARD) -> Difference:
    """What changed since a revision of this repository.

    Raises
    ------
    CatalogueError
        If the revision is unknown here or has no catalogue.
    """
    name = CATALOGUE.relative_to(ROOT).as_posix()
    shown = subprocess.run(  # noqa: S603 - a list, no shell; a revision that is none ends git
        ["git", "-C", str(ROOT), "show", f"{revision}:{name}"],  # noqa: S607 - git is where PATH says
        capture_output=True,
        text=True,
        check=False,
    )
    if shown.returncode:
        raise CatalogueError(
            f"git cannot show {name} at {revision!r}: "
            "the revision is not known here, or is older than the catalogue"
        )
    return compare(json.loads(shown.stdout), describe(features))


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> Difference:
    """What changed from one catalogue's document to another's."""
    old, new = ({told["name"]: told for told in each["features"]} for each in (before, after))
    changed = {
        name: {
            field: (old[name].get(field), new[name].get(field))
            for field in sorted(old[name].keys() | new[name].keys())
            if old[name].get(field) != new[name].get(field)
        }
        for name in new
        if name in old and old[name] != new[name]
    }
    return Difference(
        before=before["feature_set"],
        after=after["feature_set"],
        added=tuple(name for name in new if name not in old),
        removed=tuple(name for name in old if name not in new),
        changed=changed,
    )


def cost(features: FeatureSet = STANDARD) -> dict[str, int]:
    """The most tiles and distinct values that the state of each entity's busiest key can hold, over its shards."""
    found = {}
    for entity in features.entities:
        layout = features.layouts[entity.name]
        tiles = 0
        for kept in layout.tiles.values():
            finer = 0
            for hop, retention in kept.levels.items():
                # A level holds only what no finer level reaches back to.
                tiles += max(0, (retention - finer) // hop + 2)
                finer = max(finer, retention)
        values = sum(sketch.capacity for sketch in layout.sketches.values())
        found[entity.name] = (tiles + values) * entity.shards
    return found


def page(features: FeatureSet = STANDARD) -> str:
    """The catalogue as a page of the documentation."""
    lines = [
        "# Features",
        "",
        "<!-- Written by `paywarden features export`; a test compares it with the definitions. -->",
        "",
        f"The standard set has {len(features.names)} features over {len(features.entities)} entities; its version",
        f"is `{features.version}`. The definitions are in `layers/fraud/python/fraud/features/standard.py`.",
        "A window ends at the payment and begins at a multiple of its hop; with a delay it ends that long before.",
        "Amounts are in minor units of the payment's currency, times in seconds. A value is missing where the",
        "merchant did not send what it needs, or where there is nothing to say, such as a mean of nothing.",
        "",
    ]
    for entity in features.entities:
        mine = [feature for feature in features.windowed if feature.entity == entity]
        fields = " and ".join(f"`{field}`" for field in entity.fields)
        shards = f", in {entity.shards} shards" if entity.shards > 1 else ""
        lines += [
            f"## By {entity.name.replace('_', ' and ')}",
            "",
            f"Keyed by {fields}{shards}; at most {cost(features)[entity.name]} tiles and distinct values a key.",
            "",
            "| feature | window | hop | what fraud it catches | reason |",
            "| --- | --- | --- | --- | --- |",
            *(_window_line(feature) for feature in mine),
            "",
        ]
    lines += [
        "## Of the payment itself",
        "",
        "| feature | from | what fraud it catches | reason |",
        "| --- | --- | --- | --- |",
    ]
    for feature in features.features:
        if not isinstance(feature, WindowFeature):
            fields = ", ".join(f"`{field}`" for field in feature.fields)
            lines.append(f"| `{feature.name}` | {fields} | {feature.catches} | {feature.reason.code} |")
    lines += ["", "What the codes tell is in [the catalogue of reasons](reasons.md)."]
    return "\n".join(lines) + "\n"


def reasons_page(features: FeatureSet = STANDARD) -> str:
    """The catalogue of reason codes as a page of the documentation."""
    lines = [
        "# Reasons",
        "",
        "<!-- Written by `paywarden features export`; a test compares it with the definitions. -->",
        "",
        "A decision's reasons are the exact contributions of the features to its score, summed by these codes.",
        "A code keeps its meaning for good; the sentences may be reworded. The first one is for an analyst. The",
        "second may be shown to the payer: it holds whichever way the score was moved, and says nothing of other",
        "merchants, of what is known as fraud, or of how a check works. [Features](features.md) has the rest.",
        "",
        "| code | for an analyst | for the payer | features |",
        "| --- | --- | --- | --- |",
    ]
    reasons: dict[str, Reason] = {feature.reason.code: feature.reason for feature in features.features}
    for code, reason in sorted(reasons.items()):
        named = ", ".join(f"`{feature.name}`" for feature in features.features if feature.reason.code == code)
        lines.append(f"| {code} | {reason.text} | {reason.customer_text} | {named} |")
    return "\n".join(lines) + "\n"


def _window_line(feature: WindowFeature) -> str:
    window = feature.window
    delay = f", ending {written(window.delay)} before" if window.delay else ""
    capped = f" (up to {feature.over.capacity})" if isinstance(feature.over, Distinct) else ""
    return (
        f"| `{feature.name}`{capped} | {written(window.length)}{delay} | {written(window.hop)} | "
        f"{feature.catches} | {feature.reason.code} |"
    )
