"""SQL over the lake, through Athena."""

import time

from ops.deployment import Deployment, DeploymentError
from runtime.athena import Athena, QueryError, TooSlowError

__all__ = ["lake_of", "query"]


def lake_of(deployment: Deployment) -> Athena:
    """Queries in the deployment's workgroup and database."""
    return Athena(deployment.client("athena"), deployment["AthenaWorkgroup"], deployment["GlueDatabase"])


def query(deployment: Deployment, sql: str, *, timeout: float = 60) -> list[dict[str, str]]:
    """Run one query in the deployment's workgroup and database.

    Returns
    -------
    list of dict
        A dict a row, from column name to the value as text; for results that fit into memory.

    Raises
    ------
    DeploymentError
        If Athena refuses the query or is not done in time.
    """
    try:
        lines = list(lake_of(deployment).table(sql, until=time.monotonic() + timeout))
    except (QueryError, TooSlowError) as error:
        raise DeploymentError(str(error)) from error
    names, *rows = [[cell or "" for cell in line] for line in lines]
    return [dict(zip(names, row, strict=True)) for row in rows]
