"""IAM: the loopback counts as TLS, jobs have their roles, and every call of a role is told."""

import secrets
from collections.abc import Callable, Mapping
from typing import Any, Final

from ops.localcloud.permissions import Call
from ops.localcloud.seam.emulator import (
    Function,
    Registry,
    app,
    iam_evaluator,
    provisioners,
    responses,
    sigv4,
    sts,
)

__all__ = ["FUNCTIONS", "REGISTRIES", "assume", "install_permissions"]

FUNCTIONS: Final[tuple[Function, ...]] = (
    (
        iam_evaluator,
        "enforce",
        ("access_key_id", "iam_action", "service", "region", "resource_arn", "service_context"),
    ),
    (
        sigv4,
        "header_signature_failure",
        ("signature", "secret", "method", "raw_path", "query_params", "headers", "body", "presigned", "explain"),
    ),
    (iam_evaluator, "resolve_principal", ("access_key_id", "account_id", "credential")),
    (responses, "get_account_id", ()),
    (app, "pin_request_origin", ("source_ip", "secure_transport")),
    (sts, "register_session", ("access_key", "session")),
)
REGISTRIES: Final[tuple[Registry, ...]] = ((sts, "_sessions"), (provisioners, "_RESOURCE_HANDLERS"))

_SECRETS: Final = "AWS::SecretsManager::Secret"


def install_permissions(note: Callable[[Call], None]) -> None:
    """Tell `note` of every call that a role made, and whether its policies allowed it."""
    enforce, pin = iam_evaluator.enforce, app.pin_request_origin

    def enforce_and_note(
        access_key_id: str,
        iam_action: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        service_context: Any = None,
    ) -> Any:
        resources = [resource_arn]
        denied = enforce(access_key_id, iam_action, service, region, resource_arn, service_context)
        if resource_arn == "*" and getattr(denied, "decision", "") == "ImplicitDeny":
            # The emulator does not know what the call is about: it is judged by its action alone.
            resources = _named(access_key_id, iam_action) or resources
            judged = [
                enforce(access_key_id, iam_action, service, region, each, service_context) for each in resources
            ]
            denied = None if None in judged else denied
        # ("assumed-role", role, session); all else is the operator, who is root here and may do everything.
        principal = sts._sessions.get(access_key_id, {}).get("Arn", "").rpartition(":")[2].split("/")
        if principal[0] == "assumed-role":
            for each in resources:
                note(Call(principal[1], iam_action, each, allowed=denied is None))
        return denied

    # Nothing leaves the machine, so the loopback stands for the TLS that buckets and queues insist on.
    iam_evaluator.enforce = enforce_and_note
    app.pin_request_origin = lambda source_ip, secure_transport: pin(source_ip, True)  # noqa: ARG005 - so called
    # Who calls is known by key and token. A signature holds for one host, and drills put a proxy before it.
    sigv4.header_signature_failure = lambda *_, **__: None
    _refer_to_secrets_by_arn()


def _named(access_key_id: str, action: str) -> list[str]:
    """What the caller's policies name as resources of an action."""
    principal = iam_evaluator.resolve_principal(access_key_id, responses.get_account_id())
    statements = [each for policy in getattr(principal, "policies", None) or [] for each in policy]
    return [resource for each in statements if action in each.actions for resource in each.resources]


def _refer_to_secrets_by_arn() -> None:
    """A secret's ``Ref`` is its ARN, which policies name; the emulator's is the name."""
    handlers = provisioners._RESOURCE_HANDLERS[_SECRETS]
    create, update, delete = handlers["create"], handlers["update"], handlers["delete"]

    def name(physical_id: str) -> str:
        # arn:aws:secretsmanager:<region>:<account>:secret:<name>-<6 signs>
        return physical_id.split(":", 6)[6][:-7]

    def create_by_arn(logical_id: str, props: Any, stack_name: str) -> Any:
        _, attributes = create(logical_id, props, stack_name)
        return attributes["Arn"], attributes

    def update_by_arn(physical_id: str, old: Any, new: Any, stack_name: str, logical_id: str | None = None) -> Any:
        _, attributes = update(name(physical_id), old, new, stack_name, logical_id)
        return attributes["Arn"], attributes

    def delete_by_arn(physical_id: str, props: Any) -> None:
        delete(name(physical_id), props)

    provisioners._RESOURCE_HANDLERS[_SECRETS] = {
        **handlers,
        "create": create_by_arn,
        "update": update_by_arn,
        "delete": delete_by_arn,
    }


def assume(role: str, session: str) -> Mapping[str, str]:
    """The environment variables with which a program acts in a role, given by its ARN.

    Services take roles on in here; the operator would need the role's trust.
    """
    account, name = role.split(":")[4], role.rpartition("/")[2]
    key, secret, token = f"ASIA{secrets.token_hex(8).upper()}", secrets.token_hex(20), secrets.token_hex(32)
    sts.register_session(
        key,
        {
            "Arn": f"arn:aws:sts::{account}:assumed-role/{name}/{session[:64]}",
            "UserId": f"{name}:{session[:64]}",
            "SecretAccessKey": secret,
            "SessionToken": token,
            "AccountId": account,
            "PrincipalType": "AssumedRole",
        },
    )
    return {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret, "AWS_SESSION_TOKEN": token}
