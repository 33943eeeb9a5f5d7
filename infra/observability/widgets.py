"""How graphs and figures of the dashboards look."""

from collections.abc import Mapping, Sequence

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from infra.environment import Environment

__all__ = ["alarm_status", "dashboard", "figure", "graph", "labelled"]


def dashboard(
    scope: Construct,
    name: str,
    *,
    environment: Environment,
    hours: int,
    rows: Sequence[Sequence[cloudwatch.IWidget]],
) -> cloudwatch.Dashboard:
    """A dashboard that shows the last `hours`, unless one asks for others."""
    made = cloudwatch.Dashboard(
        scope,
        f"{name}-dashboard",
        dashboard_name=f"{environment.prefix}-{name}",
        default_interval=cdk.Duration.hours(hours),
    )
    for row in rows:
        made.add_widgets(*row)
    return made


def graph(
    title: str,
    *metrics: cloudwatch.IMetric,
    lines: Mapping[str, float] | None = None,
    alarms: Sequence[cloudwatch.Alarm] = (),
    unit: str = "",
    width: int = 6,
    stacked: bool = False,
    most: float | None = None,
) -> cloudwatch.GraphWidget:
    """Metrics over time.

    Parameters
    ----------
    lines : mapping of str to float, optional
        Levels to compare with, such as the threshold of an alarm, by what they are.
    alarms : sequence of Alarm
        Those whose thresholds are levels to compare with, too.
    unit : str
        Written at the axis.
    width : int
        Of 24 columns.
    most : float, optional
        Where the axis ends.
    """
    return cloudwatch.GraphWidget(
        title=title,
        left=list(metrics),
        left_annotations=[
            cloudwatch.HorizontalAnnotation(label=label, value=value, color=cloudwatch.Color.RED)
            for label, value in (
                *(lines or {}).items(),
                *(("alarm", each.to_annotation().value) for each in alarms),
            )
        ],
        left_y_axis=cloudwatch.YAxisProps(min=0, max=most, label=unit or None, show_units=not unit),
        stacked=stacked,
        width=width,
        height=6,
    )


def figure(title: str, metric: cloudwatch.IMetric, *, start: str, width: int = 6) -> cloudwatch.SingleValueWidget:
    """One figure over the whole time since `start`, such as ``-P30D``."""
    return cloudwatch.SingleValueWidget(
        title=title, metrics=[metric], start=start, end="P0D", set_period_to_time_range=True, width=width, height=3
    )


def alarm_status(
    scope: Construct, id_: str, *, title: str, names: Sequence[str], height: int
) -> cloudwatch.AlarmStatusWidget:
    """Alarms by name, those that changed last first. A widget holds up to 100 of them."""
    known = Construct(scope, id_)
    return cloudwatch.AlarmStatusWidget(
        title=title,
        # By their names, so that the stacks that they stand in export nothing for it.
        alarms=[cloudwatch.Alarm.from_alarm_name(known, name, name) for name in names],
        sort_by=cloudwatch.AlarmStatusWidgetSortBy.STATE_UPDATED_TIMESTAMP,
        width=24,
        height=height,
    )


def labelled(metric: cloudwatch.IMetric, label: str) -> cloudwatch.Metric:
    """A metric of an alarm under a name that tells it from others of its kind.

    Raises
    ------
    TypeError
        If it is computed: what is computed has a label of its own.
    """
    if not isinstance(metric, cloudwatch.Metric):
        raise TypeError(f"{label}: this is no metric that can be given another label")
    return metric.with_(label=label)
