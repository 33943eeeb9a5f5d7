"""The demo: the whole platform on this machine, from an empty cloud to a retrained model that serves."""

import time
from collections import Counter
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console
from rich.markup import escape

from fraud.windows import DAY, HOUR
from ops.client import Api
from ops.demo import checks
from ops.demo.judging import judge
from ops.demo.model import Report
from ops.demo.report import render
from ops.demo.stages import DemoError, Stages
from ops.demo.summary import summary, timeline
from ops.deployment import Deployment, DeploymentError, connect
from ops.history import ImportConflictError, LaterLabels, import_history
from ops.inputs import World, WorldOptions, build_world, schedule, together
from ops.localcloud import control
from ops.localcloud.deploy import bootstrap_and_deploy
from ops.localcloud.errors import LocalCloudError
from ops.measures import percentiles
from ops.merchants import add
from ops.retraining import RetrainingError, Run, retrain
from ops.times import now
from ops.traffic import Freshness, Replayed, replay
from runtime.stores.features import FeatureStore

__all__ = ["run"]

FOLDER: Final = Path("build/demo")
THREADS: Final = 4
BEFORE_RETRAINING_DAYS: Final = 13
REPEATS: Final = 40

# The live part is longer than the world's default: labels take days, and a model can learn only from what
# is older than they take.
WORLD: Final = WorldOptions(
    live_days=18,
    live_rows=3_600,
    live_fraud={
        "card testing": 17,
        "stolen card": 24,
        "lost card": 5,
        "friendly fraud": 10,
        "account takeover": 62,
        "ticket resale": 53,
        "bin attack": 34,
    },
)
FIRST: Final[dict[str, object]] = {"maturity": "3d", "validation_share": 0.1, "evaluation_share": 0.15}
# The new kinds of fraud are a few days old by then: larger shares would leave none of them to learn from.
# Some twenty frauds in each part say little on where to stop: slow steps over few columns at a time get further
# than the defaults before chance does. No gain can be sure over so few.
SECOND: Final[dict[str, object]] = {
    "maturity": "3d",
    "validation_share": 0.04,
    "evaluation_share": 0.06,
    "parameters": {
        "eta": 0.05,
        "max_depth": 4,
        "min_child_weight": 0.1,
        "subsample": 0.7,
        "colsample_bytree": 0.5,
        "gamma": 0.5,
        "reg_lambda": 5,
        "early_stopping_rounds": 60,
    },
    "policy": {"gate": {"minimum_confidence": 0.5}},
}


def run(console: Console, *, port: int, keep: bool, seed: int) -> int:
    """Run every step, print the summary and write the report; return the exit code.

    Parameters
    ----------
    port : int
        For a local cloud of the demo's own.
    keep : bool
        Leave that cloud running.
    seed : int
        Of the generated world.
    """
    stages = Stages(console)
    start = time.monotonic()
    report = Report(generated_at="", seed=seed, seconds=0, ok=False, steps=stages.steps)
    try:
        control.down(port)
        report = _play(stages, port=port, seed=seed)
    except (
        DemoError,
        DeploymentError,
        ImportConflictError,
        LocalCloudError,
        RetrainingError,
    ) as error:
        console.print(f"[red]The demo stopped:[/red] {escape(str(error))}", highlight=False)
    except Exception:
        # Not one that we have words for: its trace is the best that there is.
        console.print_exception()
    finally:
        if not keep:
            with stages.stage("nothing is left", "the local cloud and all it started have ended") as done:
                control.down(port)
                checks.require(not control.status(port).running, "the local cloud is still running")
                done("its processes are gone")
    report = msgspec.structs.replace(
        report,
        generated_at=datetime.now(UTC).isoformat(timespec="seconds"),
        steps=stages.steps,
        seconds=time.monotonic() - start,
    )
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "report.json").write_bytes(msgspec.json.format(msgspec.json.encode(report)))
    (FOLDER / "report.html").write_text(render(report))
    if report.ok:
        console.print(summary(report))
    else:
        console.print(f"The local cloud's own words: build/local/{port}/server.log. Try again with `make demo`.")
    console.print(f"Written: {FOLDER}/report.html and {FOLDER}/report.json ({report.seconds:.0f} s in all)")
    return 0 if report.ok else 1


def _play(stages: Stages, *, port: int, seed: int) -> Report:
    world = build_world(seed, WORLD)
    deployment, resources = _deploy(stages, port)
    keys = _onboard(stages, deployment, world)
    first = _train(stages, deployment, "first", {"as_of": world.live_from, **FIRST})
    api = Api(deployment.api_url, keys, threads=THREADS)
    later_labels = LaterLabels(deployment, clock=now, sleep=time.sleep)
    play = partial(_replay, stages, api, deployment.features(), world, later_labels)
    cut = world.live_from + BEFORE_RETRAINING_DAYS * DAY
    end = world.live_from + WORLD.live_days * DAY
    code = checks.scoring_code(deployment)
    before = play(since=world.live_from, until=cut, name="live traffic")
    _repeat(stages, api, before)
    sent = {exchange.sent.event_id for exchange in before.exchanges}
    _settle(stages, deployment, before, sent, later_labels.folded)
    second = _train(stages, deployment, "second", {"as_of": cut, **SECOND})
    after = play(since=cut, until=end, name="more traffic")
    with stages.stage("the new model serves", "answers come from it, and no code was deployed") as done:
        done(checks.swapped(deployment, after, first=first.version, second=second.version, code=code))
    sent |= {exchange.sent.event_id for exchange in after.exchanges}
    whole = Replayed(before.exchanges + after.exchanges, before.seconds + after.seconds)
    story = checks.velocity(stages, whole)
    lags = _settle(stages, deployment, whole, sent, later_labels.folded)
    later = [row for row in world.live if row.transaction.event_time >= cut]
    with stages.stage("better on later data", "the retrained model beats the first on later payments") as done:
        models = judge(deployment, later, (first, second))
        done(checks.improved(models))
    api.close()
    return Report(
        generated_at="",
        seed=seed,
        seconds=0,
        ok=all(step.ok for step in stages.steps),
        steps=stages.steps,
        resources=resources,
        traffic={
            "history_rows": len(world.history),
            "payments": len(whole.decisions),
            "labels": len(whole.labels),
            "repeats": REPEATS,
        },
        decisions=dict(Counter(exchange.reply.json()["decision"] for exchange in whole.decisions)),
        decisions_by_model=checks.by_model(whole),
        latency=checks.latency(whole),
        freshness=checks.spread(lags),
        later_rows=len(later),
        later_frauds=sum(row.is_fraud is True for row in later),
        models=models,
        velocity=story,
        samples=checks.samples(whole, lags),
        timeline=timeline(world.live, whole),
        workflow=[
            {"run": name, "state": state, "seconds": seconds}
            for name, done_run in (("first", first), ("second", second))
            for state, seconds in done_run.states
        ],
        verdicts=[first.reason, second.reason],
    )


def _deploy(stages: Stages, port: int) -> tuple[Deployment, dict[str, int]]:
    with stages.stage("local cloud", "an AWS emulator and a local SageMaker answer on 127.0.0.1") as done:
        control.up(port)
        done(f"port {port}")
    with stages.stage("deployment", "cdk bootstrap and cdk deploy --all brought up five stacks") as done:
        bootstrap_and_deploy(port, done.note)
        deployment = connect("local", port=port)
        resources = checks.resources(deployment)
        done(f"{sum(resources.values())} resources of {len(resources)} kinds")
    return deployment, resources


def _onboard(stages: Stages, deployment: Deployment, world: World) -> dict[str, str]:
    with stages.stage("merchants", "two merchants have keys, stored as hashes") as done:
        keys = {merchant: add(deployment, merchant, at=now()).secret for merchant in world.merchants}
        done(", ".join(keys))
    with stages.stage("history", "six weeks of payments are in the lake and in the features") as done:
        imported = import_history(
            deployment,
            "before",
            world.history,
            clock=now(),
            sleep=time.sleep,
            progress=lambda what, at, total: done.note(f"{what} {at}/{total}"),
        )
        done(f"{imported.rows:,} payments, states of {imported.states:,} keys")
    return keys


def _train(stages: Stages, deployment: Deployment, name: str, options: dict[str, object]) -> Run:
    with stages.stage(f"{name} model", "Step Functions built, trained, judged and promoted it") as done:
        finished = retrain(
            deployment,
            f"{name}-{int(time.time())}",
            options={"reason": f"the demo's {name} run", **options},
            timeout=240,
            entered=done.note,
        )
        checks.require(
            finished.promoted, f"the model of run {finished.version} was not promoted: {finished.reason}"
        )
        done(finished.reason)
    return finished


def _replay(
    stages: Stages,
    api: Api,
    features: FeatureStore,
    world: World,
    later_labels: LaterLabels,
    *,
    since: int,
    until: int,
    name: str,
) -> Replayed:
    # Sent at once, they must also have come at once: features may lag by seconds, not by an hour.
    bursts = list(map(together, schedule(world.live, since=since, until=until, span_ms=HOUR, size=8)))
    total = sum(len(burst.arrivals) for burst in bursts)
    with stages.stage(name, "every payment and label was answered, with its features and a score") as done:
        replayed = replay(
            api,
            bursts,
            threads=THREADS,
            before=later_labels,
            settle=Freshness(features),
            progress=lambda count: done.note(f"{count:,} of {total:,} calls"),
        )
        done(checks.answered(replayed))
    return replayed


def _repeat(stages: Stages, api: Api, before: Replayed) -> None:
    with stages.stage("retries", "the same payment sent again is answered with the same bytes") as done:
        done(checks.same_bytes(api, before.decisions[:: max(1, len(before.decisions) // REPEATS)][:REPEATS]))


def _settle(
    stages: Stages, deployment: Deployment, replayed: Replayed, sent: set[str], imported: set[str]
) -> list[float]:
    with stages.stage("features", "every event was folded in exactly once; no dead letters") as done:
        lags = checks.folded(deployment, sent, imported, done.note)
        found = percentiles(lags)
        done(
            f"{len(lags):,} events, fresh after {found.p50:.0f} ms (p50) and {found.p99:.0f} ms (p99), and "
            f"{len(imported)} labels of imported payments"
        )
    with stages.stage("lake", "SQL over the lake counts what the API answered") as done:
        done(checks.in_the_lake(deployment, replayed, done.note))
    return lags
