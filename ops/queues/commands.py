"""`paywarden redrive` and `paywarden quarantine ...`."""

from collections.abc import Callable
from typing import Annotated

import typer
from rich.progress import Progress, TaskID
from rich.table import Column, Table

from ops.deployment import connect
from ops.localcloud.settings import DEFAULT_PORT
from ops.queues.letters import QUEUES, Letter, Queue, QueueError
from ops.terminal import Env, Port, Yes, ask, console, progress_bars
from ops.times import now, shown

__all__ = ["quarantine_app", "redrive"]

LOOKED_AT = 500
"""Letters that are looked at before the question; all that are sent back are judged."""

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]

quarantine_app = typer.Typer(
    no_args_is_help=True,
    help="Put dead letters aside in the lake's bucket, where nothing reads them; list them, and put them back.",
)


def redrive(
    queue: Annotated[Queue, typer.Argument(help="Whose dead letters; `paywarden status` counts them.")],
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Send back so many at most.")] = None,
    ids: Annotated[bool, typer.Option("--ids", help="List the ids of the letters that were looked at.")] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    env: Env = "local",
    port: Port = DEFAULT_PORT,
) -> None:
    """Send dead letters back to where they belong, once their cause is mended.

    Shows first how many there are, how old, and why they are there, as far as it can be told. Those that would
    only fail again stay: mend the code, or `paywarden quarantine` them. Letters that were sent back before and
    came again are told apart. Running it twice changes nothing twice: what is behind the queues counts each event
    once.

    updates: to the queue of update_features. labels: to the queue of record_label. undelivered: to the queue or
    the stream that the bus could not reach. unrelayed: the lines of the ledger are published anew. unwithdrawn:
    the models of failed retrainings are taken out of service.
    """
    from ops.queues.letters import box_of
    from ops.queues.redriving import look
    from ops.queues.redriving import redrive as send_back
    from ops.queues.ways import way_of

    deployment = connect(env, port=port)
    box, way = box_of(deployment, queue), way_of(deployment, queue, clock=now, tell=_tell)
    count = box.count()
    if not count:
        console.print(f"There are no dead letters of {queue} ({QUEUES[queue]}).", highlight=False)
        return
    if ids:
        _list_ids(box.peek(min(count, LOOKED_AT)))
    groups = look(box, way, most=LOOKED_AT)
    table = Table(Column("why it is there", overflow="fold"), "letters", "came back", "oldest (UTC)", "redrive")
    for group in groups:
        table.add_row(
            group.judgement.reason,
            str(group.count),
            str(group.returned or ""),
            shown(group.oldest),
            "leaves it" if group.judgement.hopeless else "sends it back",
        )
    seen = sum(group.count for group in groups)
    console.print(table)
    hopeful = sum(group.count for group in groups if not group.judgement.hopeless)
    more = f", {seen} of them looked at" if seen < count else ""
    console.print(f"{count} dead letters of {queue}{more}: {QUEUES[queue]}.", highlight=False)
    if any(group.returned for group in groups):
        console.print("Some were sent back before and came again: find their cause before they go once more.")
    if dry_run or (not hopeful and seen >= count):
        if not hopeful:
            console.print(f"None would be handled now. `paywarden quarantine {queue} --all` puts them aside.")
        return
    most = min(limit or count, count) if limit else count
    ask(f"Send {'up to ' if limit or hopeful < count else ''}{most} back in {env}?", yes=yes)
    deployment.tell("redrive", "send back", of=str(queue), after={"letters": most})
    with progress_bars() as bars:
        task = bars.add_task(f"redrive {queue}", total=most)
        done = send_back(box, way, most=most, progress=_completed(bars, task))
    console.print(f"{done.sent} sent back.", highlight=False)
    for why, number in done.settled.most_common():
        console.print(f"{number} settled and deleted: {why}", markup=False, highlight=False)
    for why, number in done.left.most_common():
        console.print(f"{number} left: {why}", markup=False, highlight=False)
    console.print(f"{box.count()} dead letters of {queue} remain.", highlight=False)
    if done.left:
        raise typer.Exit(1)


def _quarantined(
    queue: Queue, message_id: list[str], *, reason: str, every: bool, dry_run: bool, yes: bool, env: str, port: int
) -> None:
    from ops.queues.letters import box_of
    from ops.queues.quarantining import quarantine

    if every == bool(message_id):
        raise QueueError("name letters with --message-id, or take --all of them")
    deployment = connect(env, port=port)
    count = box_of(deployment, queue).count()
    if not count:
        console.print(f"There are no dead letters of {queue}.", highlight=False)
        return
    what = f"all {count} letters" if every else f"{len(message_id)} of {count} letters"
    if dry_run:
        console.print(f"{what} of {queue} would go to quarantine.", highlight=False)
        return
    ask(f"Put {what} of {queue} aside in {env}? Their events stay unhandled.", yes=yes)
    by = deployment.client("sts").get_caller_identity()["Arn"]
    with progress_bars() as bars:
        task = bars.add_task(f"quarantine {queue}", total=count if every else len(message_id))
        done = quarantine(
            deployment,
            queue,
            wanted=None if every else frozenset(message_id),
            reason=reason,
            by=by,
            progress=_completed(bars, task),
        )
    console.print(f"{done} letters of {queue} are in quarantine. `paywarden quarantine list` shows them.")


def _register(queue: Queue) -> None:
    @quarantine_app.command(str(queue), help=f"Put aside dead letters of {queue}: {QUEUES[queue]}.")
    def put_aside(
        reason: Annotated[str, typer.Option("--reason", help="Why: it is kept with each letter.")],
        message_id: Annotated[
            list[str] | None,
            typer.Option("--message-id", help="One letter, as `redrive --dry-run --ids` lists them; repeat it."),
        ] = None,
        every: Annotated[bool, typer.Option("--all", help="All letters that there are now.")] = False,
        dry_run: DryRun = False,
        yes: Yes = False,
        env: Env = "local",
        port: Port = DEFAULT_PORT,
    ) -> None:
        _quarantined(
            queue, message_id or [], reason=reason, every=every, dry_run=dry_run, yes=yes, env=env, port=port
        )


for _queue in Queue:
    _register(_queue)


@quarantine_app.command("list")
def list_letters(
    queue: Annotated[Queue | None, typer.Option("--queue", help="Only those of one queue.")] = None,
    env: Env = "local",
    port: Port = DEFAULT_PORT,
) -> None:
    """List the letters in quarantine: queue, day, id and size. What they say is not shown."""
    from ops.queues.quarantining import kept

    table = Table("queue", "day", Column("message id", no_wrap=True), Column("bytes", justify="right"))
    for place in kept(connect(env, port=port), queue):
        table.add_row(place.queue, place.day, place.message_id, str(place.size))
    console.print(table if table.row_count else "Nothing is in quarantine.")


@quarantine_app.command("restore")
def restore_letter(
    message_id: Annotated[str, typer.Argument(help="As `paywarden quarantine list` shows it.")],
    env: Env = "local",
    port: Port = DEFAULT_PORT,
) -> None:
    """Put a letter back among the dead letters of its queue; `paywarden redrive` sends it on from there."""
    from ops.queues.quarantining import restore

    letter = restore(connect(env, port=port), message_id)
    console.print(f"It was put aside because: {letter.reason}", markup=False, highlight=False)
    console.print(f"It is a dead letter of {letter.queue} again: `paywarden redrive {letter.queue}`.")


def _list_ids(letters: list[Letter]) -> None:
    table = Table(Column("message id", no_wrap=True), "sent (UTC)", "came back")
    for letter in letters:
        table.add_row(letter.message_id, shown(letter.sent_at), str(letter.redriven or ""))
    console.print(table)


def _completed(bars: Progress, task: TaskID) -> Callable[[int], None]:
    return lambda done: bars.update(task, completed=done)


def _tell(text: str) -> None:
    console.print(text, markup=False, highlight=False)
