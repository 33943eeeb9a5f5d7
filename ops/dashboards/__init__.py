"""Pictures of the dashboards: of their bodies as deployed, and of what CloudWatch has measured."""

from ops.dashboards.bodies import BodyError, Series, Widget, widgets_of

__all__ = ["BodyError", "Series", "Widget", "widgets_of"]
