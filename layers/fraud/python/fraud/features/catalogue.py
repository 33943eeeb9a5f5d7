"""The definitions as plain data: what is written down, shown and compared between revisions."""

from typing import Any

from fraud.features.definitions import Distinct, RowFeature, Series
from fraud.features.sets import Feature, FeatureSet

__all__ = ["describe", "describe_feature"]


def describe(features: FeatureSet) -> dict[str, Any]:
    """A feature set as one document, features in column order; durations in ms."""
    return {
        "feature_set": features.version,
        "features": [describe_feature(feature) for feature in features.features],
    }


def describe_feature(feature: Feature) -> dict[str, Any]:
    """One definition as a document; what a row feature computes is told by its sentence only."""
    about: dict[str, Any] = {
        "name": feature.name,
        "version": feature.version,
        "catches": feature.catches,
        "reason": feature.reason.code,
        "shown": feature.shown,
    }
    if isinstance(feature, RowFeature):
        return about | {"kind": "row", "fields": list(feature.fields)}
    window = feature.window
    return about | {
        "kind": "window",
        "entity": feature.entity.name,
        "fields": list(feature.entity.fields),
        "shards": feature.entity.shards,
        "aggregation": feature.aggregation.value,
        "over": _over(feature.over),
        "window_ms": window.length,
        "hop_ms": window.hop,
        "delay_ms": window.delay,
        "include_current": feature.include_current,
        "tiles": feature.tiles,
    }


def _over(over: Series | Distinct) -> dict[str, Any]:
    if isinstance(over, Distinct):
        return {"distinct": over.field, "slot": over.slot, "capacity": over.capacity}
    told: dict[str, Any] = {"source": over.source.value, "slot": over.slot}
    if over.where is not None:
        told["where"] = {"field": over.where.field, "values": list(over.where.values)}
    if over.base is not None:
        told["share_of"] = _over(over.base)
    return told
