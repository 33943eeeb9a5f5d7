"""`paywarden rules ...`, `paywarden lists ...` and `paywarden policy ...`."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table

from fraud.features import STANDARD
from fraud.lists import StoredLists
from fraud.rules import Rule, Rules
from ops.deployment import connect
from ops.localcloud.settings import DEFAULT_PORT
from ops.settings.desk import Desk, RefusedError, refusing
from ops.settings.imports import import_entries
from ops.settings.passing import pass_through
from ops.terminal import Env, Port, console, progress_bars
from runtime.api import parse
from runtime.contract.settings import PolicyRequest, checked

__all__ = ["lists_app", "policy_app", "rules_app"]

rules_app = typer.Typer(no_args_is_help=True, help="A merchant's rules.")
lists_app = typer.Typer(no_args_is_help=True, help="A merchant's lists, and the values on them.")
policy_app = typer.Typer(no_args_is_help=True, help="A merchant's policy.")
policy_app.command("pass-through")(pass_through)

Merchant = Annotated[str, typer.Option("--merchant", "-m", help="The merchant's id.")]
By = Annotated[str, typer.Option("--by", help="Your name, which the change is recorded under.")]
Version = Annotated[int | None, typer.Option("--version", min=1, help="An older one than the current.")]
BasedOn = Annotated[
    int | None, typer.Option("--based-on", min=0, help="Change nothing unless this is the current version.")
]
Name = Annotated[str, typer.Option("--name", "-n", help="The list's name.")]
File = Annotated[Path, typer.Argument(help="JSON, as `show` prints it.")]


@rules_app.command("show")
def show_rules(merchant: Merchant, version: Version = None, env: Env = "local", port: Port = DEFAULT_PORT) -> None:
    """Print rules as JSON, for `put`; on standard error what they mean."""
    desk = Desk.of(connect(env, port=port), merchant)
    found = desk.ask(desk.rules.show, query={"version": version})
    _tell(found, "rules")
    for rule in found["rules"]:
        _explain(rule["id"], rule["explained"], rule["action"], enabled=rule["enabled"])
    names = Rule.__struct_fields__
    rules = [{name: rule[name] for name in names} for rule in found["rules"]]
    _print({"mode": found["mode"], "rules": rules})


@rules_app.command("check")
def check_rules(file: File, merchant: Merchant, env: Env = "local", port: Port = DEFAULT_PORT) -> None:
    """Check rules as `put` does and say what they mean; nothing is stored."""
    desk = Desk.of(connect(env, port=port), merchant)
    lists = desk.store.get(merchant, StoredLists)
    with refusing(str(file)):
        rules = parse(_read(file), Rules)
        stored = checked(rules, STANDARD, lists.lists if lists else ())
    for rule in stored:
        _explain(rule.id, rule.words, rule.action, enabled=rule.enabled)
    console.print(f"{len(stored)} rules can be kept.")


@rules_app.command("put")
def put_rules(
    file: File,
    merchant: Merchant,
    by: By,
    based_on: BasedOn = None,
    env: Env = "local",
    port: Port = DEFAULT_PORT,
) -> None:
    """Put other rules in the place of all that there are."""
    desk = Desk.of(connect(env, port=port), merchant, by=by)
    _tell(desk.ask(desk.rules.change, body=_read(file), based_on=based_on), "rules")


@rules_app.command("versions")
def rules_versions(merchant: Merchant, env: Env = "local", port: Port = DEFAULT_PORT) -> None:
    """List the last hundred changes of the rules, the newest first."""
    desk = Desk.of(connect(env, port=port), merchant)
    _print_versions(desk.ask(desk.rules.versions, query={"limit": 100}))


@lists_app.command("show")
def show_lists(
    merchant: Merchant,
    name: Annotated[str | None, typer.Option("--name", "-n", help="One list, with its values.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=500, help="At most so many values.")] = 100,
    cursor: Annotated[str | None, typer.Option("--cursor", help="Where the page before ended.")] = None,
    env: Env = "local",
    port: Port = DEFAULT_PORT,
) -> None:
    """List a merchant's lists, or a page of one list's values; what identifies people is shown as tokens."""
    desk = Desk.of(connect(env, port=port), merchant)
    if name is None:
        found = desk.ask(desk.lists.show_all)
        table = Table("list", "field", "action", "enabled", Column("description", overflow="fold"), box=None)
        for each in found["lists"]:
            enabled = "yes" if each["enabled"] else "no"
            table.add_row(each["name"], each["field"], each["action"], enabled, each["description"])
    else:
        found = desk.ask(desk.lists.show, name=name, query={"limit": limit, "cursor": cursor})
        table = Table(Column("value", no_wrap=True), "ends", "note", "added", "by", box=None)
        for each in found["entries"]:
            table.add_row(*(each[key] or "" for key in ("value", "expires_at", "note", "added_at", "added_by")))
    _tell(found, "lists")
    Console().print(table)
    if found.get("cursor"):
        console.print(f"There is more: --cursor {found['cursor']}", highlight=False)


@lists_app.command("define")
def define_list(
    merchant: Merchant,
    name: Name,
    by: By,
    field: Annotated[str, typer.Option("--field", help="Whose values it holds, such as card, email or bin.")],
    action: Annotated[str, typer.Option("--action", help="block, allow, review, or none for rules to ask for.")],
    disabled: Annotated[bool, typer.Option("--disabled", help="Keep it, and let it do nothing.")] = False,
    description: Annotated[str, typer.Option("--description", help="What it is for, for colleagues.")] = "",
    env: Env = "local",
    port: Port = DEFAULT_PORT,
) -> None:
    """Make a list, or change what it does."""
    desk = Desk.of(connect(env, port=port), merchant, by=by)
    body = {"field": field, "action": action, "enabled": not disabled, "description": description}
    _tell(desk.ask(desk.lists.change, body=json.dumps(body).encode(), name=name), "lists")


@lists_app.command("remove")
def remove_list(
    merchant: Merchant,
    name: Name,
    by: By,
    based_on: BasedOn = None,
    env: Env = "local",
    port: Port = DEFAULT_PORT,
) -> None:
    """Remove a list with all that is on it; a list that is made under its name later begins empty."""
    desk = Desk.of(connect(env, port=port), merchant, by=by)
    _tell(desk.ask(desk.lists.remove, name=name, based_on=based_on), "lists")


@lists_app.command("import")
def import_list(
    file: Annotated[Path, typer.Argument(help="CSV: value, and if wanted expires_at (RFC 3339) and note.")],
    merchant: Merchant,
    name: Name,
    by: By,
    env: Env = "local",
    port: Port = DEFAULT_PORT,
) -> None:
    """Put all values of a file on a list. A second import of the file changes nothing."""
    desk = Desk.of(connect(env, port=port), merchant, by=by)
    with progress_bars() as progress:
        task = progress.add_task("checking", total=None)

        def show(done: int, total: int) -> None:
            progress.update(task, description="storing", completed=done, total=total)

        done = import_entries(desk, name, file, show)
    console.print(f"{done.added} added or changed, {done.unchanged} as they were, {done.expired} expired.")


@policy_app.command("show")
def show_policy(
    merchant: Merchant, version: Version = None, env: Env = "local", port: Port = DEFAULT_PORT
) -> None:
    """Print a policy as JSON, for `put`."""
    desk = Desk.of(connect(env, port=port), merchant)
    found = desk.ask(desk.policy.show, query={"version": version})
    _tell(found, "policy" if found["own"] else "the platform's policy")
    _print({name: found[name] for name in PolicyRequest.__struct_fields__ if found[name] is not None})


@policy_app.command("put")
def put_policy(
    file: File,
    merchant: Merchant,
    by: By,
    based_on: BasedOn = None,
    env: Env = "local",
    port: Port = DEFAULT_PORT,
) -> None:
    """Give a merchant a policy of its own."""
    desk = Desk.of(connect(env, port=port), merchant, by=by)
    _tell(desk.ask(desk.policy.change, body=_read(file), based_on=based_on), "policy")


@policy_app.command("versions")
def policy_versions(merchant: Merchant, env: Env = "local", port: Port = DEFAULT_PORT) -> None:
    """List the last hundred changes of the policy, the newest first."""
    desk = Desk.of(connect(env, port=port), merchant)
    _print_versions(desk.ask(desk.policy.versions, query={"limit": 100}))


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise RefusedError(f"{file} cannot be read: {error.strerror}") from error


def _tell(found: dict[str, Any], what: str) -> None:
    when = f", changed at {found['changed_at']} by {found['changed_by']}" if found["version"] else ""
    console.print(f"{what}, version {found['version']}{when}", highlight=False, markup=False)


def _explain(name: str, words: str, action: str, *, enabled: bool) -> None:
    off = "" if enabled else " (disabled)"
    console.print(f"  {name}{off}: {action} if {words}", highlight=False, markup=False)


def _print(document: object) -> None:
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def _print_versions(found: dict[str, Any]) -> None:
    table = Table("version", "changed", "by", box=None)
    for each in found["versions"]:
        table.add_row(str(each["version"]), each["changed_at"], each["changed_by"])
    Console().print(table)
