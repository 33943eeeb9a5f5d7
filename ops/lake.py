"""SQL over the lake, through Athena."""

import time
from typing import Any

from ops.deployment import Deployment, DeploymentError

__all__ = ["query"]

_POLL_SECONDS = 0.2


def query(deployment: Deployment, sql: str, *, timeout: float = 60) -> list[dict[str, str]]:
    """Run one query in the deployment's workgroup and database.

    Returns
    -------
    list of dict
        A dict a row, from column name to the value as text; for small results.

    Raises
    ------
    DeploymentError
        If Athena refuses the query or is not done in time.
    """
    client = deployment.client("athena")
    execution = client.start_query_execution(
        QueryString=sql,
        WorkGroup=deployment["AthenaWorkgroup"],
        QueryExecutionContext={"Database": deployment["GlueDatabase"]},
    )["QueryExecutionId"]
    deadline = time.monotonic() + timeout
    while True:
        status: Any = client.get_query_execution(QueryExecutionId=execution)["QueryExecution"]["Status"]
        if status["State"] == "SUCCEEDED":
            break
        if status["State"] in ("FAILED", "CANCELLED"):
            raise DeploymentError(f"Athena: {status.get('StateChangeReason', status['State'])}")
        if time.monotonic() > deadline:
            raise DeploymentError(f"Athena did not answer within {timeout:.0f} s")
        time.sleep(_POLL_SECONDS)
    header, *rows = client.get_query_results(QueryExecutionId=execution)["ResultSet"]["Rows"]
    names = [cell["VarCharValue"] for cell in header["Data"]]
    return [dict(zip(names, [cell.get("VarCharValue", "") for cell in row["Data"]], strict=True)) for row in rows]
