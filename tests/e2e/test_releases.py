"""The ways of a model, from labels to what serves: every way that a run can end, played to its end."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from urllib3.exceptions import HTTPError

from fraud.serving import Serving
from infra.alarms import name_of
from infra.constructs.release_alarms import rollback_alarms
from infra.environments import LOCAL
from ops.client import Api
from ops.deployment import Deployment
from ops.inputs import World, decision_body
from ops.models.desk import Desk
from ops.retraining import RetrainingError, Run, follow, resume, retrain, start
from tests.e2e.conftest import serving_champion
from tests.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900), pytest.mark.usefixtures("first_model", "calm")]

# What a gate asks is tried in tests of its own; here the ways through it are.
LENIENT: dict[str, Any] = {
    "minimum_gain": -1.0,
    "minimum_confidence": 0.0,
    "maximum_slice_loss": 1.0,
    "maximum_calibration_error": 1.0,
    "maximum_calibration_factor": 1_000.0,
    # The same payments are sent for each test, so features are not what they would be in a history of its own.
    "maximum_mismatch": 1.0,
    "maximum_lagging": 1.0,
}
SHADOW: dict[str, Any] = {"shadow_decisions": 20, "shadow_hours": 0.2, "poll_seconds": 1}
CANARY: dict[str, Any] = {"canary_share": 0.5, "canary_decisions": 5, "canary_minutes": 10.0, "poll_seconds": 1}
SOME_CHANGE: dict[str, Any] = {
    "maximum_approval_change": 1.0,
    "maximum_score_change": 1.0,
    "maximum_score_factor": 1_000.0,
}


@pytest.fixture(scope="module")
def calm(deployment: Deployment, first_model: Run) -> None:
    """No alarm that sends models back is on.

    Before the first model every decision was degraded. So many are put beside them that were not that nobody has
    to wait until those are forgotten.
    """
    del first_model
    alarms = deployment.client("cloudwatch")
    degraded = name_of("release-degraded", prefix=LOCAL.prefix)
    [watched] = alarms.describe_alarms(AlarmNames=[degraded])["MetricAlarms"]
    point = {"MetricName": watched["MetricName"], "Dimensions": watched["Dimensions"], "Values": [0.0]}
    now = datetime.now(UTC)
    alarms.put_metric_data(
        Namespace=watched["Namespace"],
        MetricData=[
            point | {"Counts": [1e6], "Timestamp": now - timedelta(minutes=minutes)} for minutes in range(10)
        ],
    )

    def quiet() -> bool:
        found = alarms.describe_alarms(AlarmNames=rollback_alarms(LOCAL))["MetricAlarms"]
        return all(each["StateValue"] != "ALARM" for each in found)

    until(quiet, within=480, pause=1, what="the end of the alarms that send models back")


def asked(world: World, *, seed: int, **policy: dict[str, Any]) -> dict[str, Any]:
    """The input of a run over the imported history; another seed makes it another model."""
    return {
        "as_of": world.live_from,
        "parameters": {"seed": seed, "rounds": 60},
        "policy": {"gate": LENIENT} | policy,
    }


def serving(deployment: Deployment) -> Serving:
    return Desk.of(deployment).serving()


@contextmanager
def payments(api: Api, world: World, name: str) -> Iterator[Callable[[str], None]]:
    """Payments of the generated world, one after the other, from when a run's model sees them to the block's end.

    Gives what has to be told of the states that the run enters.
    """
    over = threading.Event()

    def pay() -> None:
        for number, row in enumerate(world.live):
            if over.wait(0.05):
                return
            body = decision_body(row.transaction) | {"transaction_id": f"{name}-{number}"}
            # A call that fails is one payment less, as with any merchant.
            with suppress(HTTPError):
                api.post(row.transaction.merchant_id, "/v1/decisions", body, at=row.transaction.event_time)

    thread = threading.Thread(target=pay)
    begin = once(thread.start, "StartShadow", "StartCanary")
    try:
        yield begin
    finally:
        over.set()
        if thread.ident is not None:
            thread.join()


def command(deployment: Deployment, *words: str) -> str:
    program = Path(sys.executable).with_name("paywarden")
    done = subprocess.run(
        [program, *words, "--port", str(deployment.port)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def once(act: Callable[[], object], *states: str) -> Callable[[str], None]:
    """Acts when a run enters any of some states for the first time."""
    acted = threading.Event()

    def entered(name: str) -> None:
        if name in states and not acted.is_set():
            acted.set()
            act()

    return entered


def test_a_run_goes_from_labels_through_shadow_and_canary_to_a_model_that_serves(
    deployment: Deployment, api: Api, world: World
) -> None:
    former = serving_champion(deployment)
    with payments(api, world, "t-whole") as entered:
        run = retrain(
            deployment,
            "whole",
            options=asked(
                world,
                seed=101,
                release=SHADOW | CANARY | SOME_CHANGE | {"probation_minutes": 0.05, "minimum_canary_decisions": 0},
            ),
            timeout=400,
            entered=entered,
        )
    assert (run.outcome, run.at) == ("serves", "promotion"), run.reason
    names = [name for name, _ in run.states]
    order = ["BuildDataset", "TrainModel", "EvaluateModel", "RegisterModel", "StartShadow", "CompareModels"]
    order += ["AskApproval", "StartCanary", "PromoteOnProbation", "ModelServes"]
    assert [name for name in names if name in order] == order
    now = serving(deployment)
    assert (now.champion, now.challengers, now.canary) == ("whole", (), None)
    roles = [
        (each.document.champion, each.document.challengers, each.document.canary is not None)
        for each in reversed(list(Desk.of(deployment).history(at=None, limit=50)))
        if each.run == "whole"
    ]
    assert roles[0] == (former, ("whole",), False)
    assert (former, (), True) in roles
    assert roles[-1][0] == "whole"
    lineage, manifest = Desk.of(deployment).show("whole")
    assert lineage is not None
    assert lineage.dataset == manifest.lineage.dataset == run.evaluation["dataset"]["fingerprint"]
    assert {event.what for event in lineage.events} >= {"registered", "shadow", "approved", "canary", "champion"}


@pytest.mark.parametrize(
    ("name", "policy", "at", "sentence"),
    [
        ("stopped-data", {"data": {"minimum_frauds": 100_000}}, "checks", "frauds"),
        ("stopped-gate", {"gate": LENIENT | {"minimum_gain": 0.9}}, "gate", "below the minimal gain"),
        (
            "stopped-comparison",
            {"release": SHADOW | SOME_CHANGE | {"maximum_score_change": 0.0}},
            "comparison",
            "score",
        ),
    ],
)
def test_each_gate_stops_a_run_with_its_sentence_and_the_champion_stays(
    deployment: Deployment,
    api: Api,
    world: World,
    name: str,
    policy: dict[str, dict[str, Any]],
    at: str,
    sentence: str,
) -> None:
    champion = serving_champion(deployment)
    with payments(api, world, f"t-{name}") as entered:
        run = retrain(deployment, name, options=asked(world, seed=102, **policy), timeout=300, entered=entered)
    assert (run.outcome, run.at) == ("stopped", at), run.reason
    assert sentence in run.reason
    now = serving(deployment)
    assert (now.champion, now.challengers, now.canary) == (champion, (), None)


def test_an_alarm_rolls_a_canary_back(deployment: Deployment, api: Api, world: World) -> None:
    champion = serving_champion(deployment)
    alarms = deployment.client("cloudwatch")
    name = rollback_alarms(LOCAL)[0]

    def ring(state: str) -> None:
        alarms.set_alarm_state(AlarmName=name, StateValue=state, StateReason="a drill")

    try:
        with payments(api, world, "t-alarm") as paid:

            def entered(name: str) -> None:
                paid(name)
                # Each time: at a full minute the cloud looks at the alarm itself.
                if name == "WaitCanary":
                    ring("ALARM")

            run = retrain(
                deployment,
                "alarmed",
                options=asked(
                    world, seed=103, release=CANARY | SOME_CHANGE | {"canary_decisions": 10**6, "shadow_hours": 0}
                ),
                timeout=300,
                entered=entered,
            )
    finally:
        ring("OK")
    assert (run.outcome, run.at) == ("rolled_back", "canary"), run.reason
    assert name in run.reason
    now = serving(deployment)
    assert (now.champion, now.canary) == (champion, None)


def test_a_person_rejects_one_model_and_approves_another(deployment: Deployment, world: World) -> None:
    champion = serving_champion(deployment)
    ask = {"release": {"approval": "person", "approval_hours": 1.0}}

    def asked_for(version: str) -> str:
        """The package of a model, once the run has asked for the word on it."""

        def package() -> str:
            lineage, _ = Desk.of(deployment).show(version)
            return lineage.package if lineage is not None and lineage.last("asked") is not None else ""

        return until(package, what=f"the question for {version}")

    def reject_in_the_console() -> None:
        # Nothing but the event of the registry tells the run.
        deployment.client("sagemaker").update_model_package(
            ModelPackageArn=asked_for("refused"),
            ModelApprovalStatus="Rejected",
            ApprovalDescription="looked at the report",
        )

    def approve_by_command() -> None:
        asked_for("agreed")
        command(deployment, "models", "approve", "agreed", "--reason", "looked at the report", "--yes")

    refused = retrain(
        deployment,
        "refused",
        options=asked(world, seed=104, **ask),
        timeout=300,
        entered=once(reject_in_the_console, "AskApproval"),
    )
    assert (refused.outcome, refused.at) == ("rejected", "approval")
    assert "looked at the report" in refused.reason
    assert serving_champion(deployment) == champion
    agreed = retrain(
        deployment,
        "agreed",
        options=asked(world, seed=105, **ask),
        timeout=300,
        entered=once(approve_by_command, "AskApproval"),
    )
    assert agreed.outcome == "serves", agreed.reason
    assert serving_champion(deployment) == "agreed"
    lineage, _ = Desk.of(deployment).show("agreed")
    assert lineage is not None
    approved = lineage.last("approved")
    assert approved is not None
    assert "looked at the report" in approved.reason
    # And one command goes back to what was before.
    command(deployment, "rollback", "model", champion or "", "--yes")
    assert serving_champion(deployment) == champion


def kill_when_it_has_a_checkpoint(job: str) -> None:
    """End a training program as the kernel would if memory ran out, once it has something to go on from."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for process in psutil.process_iter():
            try:
                root = process.environ().get("ML_ROOT", "")
                # Not its draft, which is none yet.
                if f"/{job}/" in root and any(Path(root, "checkpoints").glob("*.checkpoint")):
                    process.kill()
                    return
            except (psutil.Error, OSError):
                continue
        time.sleep(0.05)
    raise AssertionError(f"{job} never had a checkpoint")


def test_a_run_whose_training_job_was_killed_goes_on_from_its_checkpoint(
    deployment: Deployment, world: World, first_model: Run
) -> None:
    options = asked(world, seed=106)
    # Slow enough to be met in the middle.
    options["parameters"] |= {"rounds": 800, "early_stopping_rounds": 800, "eta": 0.02, "nthread": 1}
    arn = start(deployment, "killed", options=options)
    killer = threading.Thread(target=kill_when_it_has_a_checkpoint, args=("killed-train-r0",))
    killer.start()
    with pytest.raises(RetrainingError, match="exit code: -9"):
        follow(deployment, arn, timeout=240)
    killer.join()
    _, since = resume(deployment, "killed")
    run = follow(deployment, arn, timeout=300, since=since)
    assert run.outcome == "serves", run.reason
    names = [name for name, _ in run.states]
    assert names.count("BuildDataset") == 1
    logs = deployment.client("logs")
    lines = [
        event["message"]
        for event in logs.filter_log_events(
            logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix="killed-train-r1"
        )["events"]
    ]
    assert any("resum" in line for line in lines), lines[:20]
    command(deployment, "rollback", "model", first_model.version, "--yes")
