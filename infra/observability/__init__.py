"""What people look at and are woken by: objectives, bounds on models and data, dashboards."""

from infra.observability.bounds import watch_bounds
from infra.observability.objectives import Counted, Objectives, Timed

__all__ = ["Counted", "Objectives", "Timed", "watch_bounds"]
