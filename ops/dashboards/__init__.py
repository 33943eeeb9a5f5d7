"""Pictures of the dashboards: of their bodies as deployed, and of what CloudWatch has measured."""
