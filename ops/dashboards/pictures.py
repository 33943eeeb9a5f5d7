"""The pictures of all dashboards of a deployment."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from ops.dashboards.bodies import widgets_of
from ops.dashboards.data import read, span_of
from ops.dashboards.drawing import draw

__all__ = ["pictures"]

_USUAL = "-PT3H"


def pictures(
    cloudwatch: Any, *, prefix: str, until: datetime, span: timedelta | None = None
) -> Iterator[tuple[str, bytes]]:
    """Names of dashboards, without the prefix of the environment, and PNGs of them.

    Parameters
    ----------
    prefix
        Of the names of the deployment's dashboards.
    until
        The end of the time that is shown.
    span
        How long that time is, in the place of what each dashboard says.
    """
    for page in cloudwatch.get_paginator("list_dashboards").paginate(DashboardNamePrefix=prefix):
        for entry in page["DashboardEntries"]:
            name = entry["DashboardName"]
            body = cloudwatch.get_dashboard(DashboardName=name)["DashboardBody"]
            since = until - (span or span_of(json.loads(body).get("start", _USUAL)))
            shown = [read(cloudwatch, each, since=since, until=until) for each in widgets_of(body)]
            yield name.removeprefix(prefix).strip("-") or "all", draw(name, shown, at=until)
