"""Making a registered bundle the champion: one change of the serving document."""

from dataclasses import dataclass
from typing import Any

from runtime import clients
from runtime.bundles import BundleStore
from runtime.configuration import Profile, current, publish
from runtime.settings import load
from runtime.telemetry import logger


@dataclass(frozen=True)
class Settings(Profile):
    models_bucket: str
    appconfig_strategy: str


settings = load(Settings)
appconfig = clients.appconfig()
appconfigdata = clients.appconfigdata()
bundles = BundleStore(clients.s3(), settings.models_bucket)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer the state machine with the version that serves and the number of the deployment."""
    del context
    version: str = event["registration"]["version"]
    bundles.manifest(version)  # a version without a bundle must never be named in the document
    serving = current(appconfigdata, settings)
    if serving.champion == version:
        return {"version": version, "deployment": None}
    promoted = serving.promoting(version)
    reason = f"champion {serving.champion or 'none'} -> {version}: {event['registration']['reason']}"
    number = publish(appconfig, settings, settings.appconfig_strategy, promoted, reason=reason)
    logger.info("promoted", extra={"version": version, "before": serving.champion})
    return {"version": version, "deployment": number}
