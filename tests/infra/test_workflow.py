"""The state machine `retrain`: every way through it, what it asks of AWS on each, and limits on everything."""

import copy
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import botocore.session
import msgspec
import pytest
from botocore.validate import ParamValidator

from fraud.release import ReleasePolicy, RunPolicy, TuningPolicy
from fraud.run_policy import MOST_LOOKS
from infra.workflows import FUNCTIONS, SUBSTITUTIONS, retrain
from lambdas.plan_training.alone import not_alone
from lambdas.plan_training.asked import RunInput
from lambdas.plan_training.plans import Part, Plan, state_of
from tests.infra.asl import Timeout, Walk, evaluate, walk

ROOT = Path(__file__).resolve().parents[2]
DEFINITION = retrain()
STATES: dict[str, dict[str, Any]] = DEFINITION["States"]
TASKS = {name: each for name, each in STATES.items() if each["Type"] == "Task"}
JOBS = {name: each for name, each in TASKS.items() if "sagemaker" in each["Resource"]}
# There is no EMR call: what outgrows one machine runs on Spark inside a SageMaker processing job (ADR 0013).
RESOURCES = {
    "arn:aws:states:::lambda:invoke",
    "arn:aws:states:::lambda:invoke.waitForTaskToken",
    "arn:aws:states:::sagemaker:createProcessingJob.sync",
    "arn:aws:states:::sagemaker:createTrainingJob.sync",
    "arn:aws:states:::sns:publish",
}
SAGEMAKER = botocore.session.get_session().get_service_model("sagemaker")
# Stands for every ${...}: it is a name, an ARN and an image to whoever looks at its shape.
FILLED = "arn:aws:iam::123456789012:role/filled"
FULL = RunPolicy(tuning=TuningPolicy(trials=5), release=ReleasePolicy(approval="person"))


def direct() -> RunPolicy:
    release = ReleasePolicy(
        shadow_decisions=0, shadow_hours=0, canary_share=0, canary_minutes=0, probation_minutes=0
    )
    return RunPolicy(release=release)


@dataclass
class World:
    """What AWS answers: all goes well unless a test says otherwise."""

    champion: str = "run-0"
    policy: RunPolicy = FULL
    asked: RunInput = field(default_factory=RunInput)
    verdicts: dict[str, bool] = field(default_factory=dict)
    watches: dict[str, list[str]] = field(default_factory=dict)
    approved: bool | None = True
    unheard: bool = False
    labels: bool = True
    refused: str = ""
    other: str = ""

    def answer(self, state: str, request: dict[str, Any]) -> Any:
        if "sagemaker" in STATES[state]["Resource"]:
            return {"ModelArtifacts": {"S3ModelArtifacts": "s3://models/runs/run-1/model/job/output/model.tar.gz"}}
        if state == "NotifyStopped":
            return {"MessageId": "m"}
        if state == "AskApproval":
            if self.approved is None or self.unheard:
                raise Timeout
            return {"approved": self.approved, "by": "ana", "comment": "as discussed"}
        return {"StatusCode": 200, "Payload": self.payload(state, request["Payload"])}

    def payload(self, state: str, given: dict[str, Any]) -> dict[str, Any]:
        if state == "PlanTraining":
            return not_alone(given["run_id"], self.other) if self.other else self.planned(given)
        if state in ("CheckDataset", "CheckModel", "CheckComparison"):
            assert given["uri"].endswith(".json")
            labels = self.labels or state != "CheckComparison"
            return {"passed": self.verdicts.get(state, True), "reason": f"{state} says so", "labels": labels}
        if state == "RegisterModel":
            return {
                "version": given["run_id"],
                "package": "arn:package",
                "passed": True,
                "reason": "better by 0.1",
            }
        if state == "ReadApproval":
            assert "token" not in given
            return {"approved": bool(self.approved), "reason": f"{state} says so"}
        if state == "PlanComparison":
            machines = {"count": 1, "type": "ml.m5.xlarge", "volume_gb": 31}
            return {"arguments": ["compare"], "inputs": [], "machines": machines}
        if state.startswith("Watch"):
            left = self.watches.setdefault(given["stage"], ["wait", "done"])
            return {"verdict": left.pop(0) if len(left) > 1 else left[0], "reason": f"{state} saw it"}
        refused = state == self.refused
        reason = "run-9 is the champion by now" if refused else ""
        return {"since": 1_767_000_000_000, "champion": "", "reason": reason, "refused": refused}

    def planned(self, given: dict[str, Any]) -> dict[str, Any]:
        part = Part(objects=1, bytes=1, fingerprint="f")
        plan = Plan(
            run_id=given["run_id"],
            as_of=1_767_000_000_000,
            reason="",
            champion=self.champion,
            engine=self.asked.engine if self.asked.engine != "auto" else "vectorised",
            vectors="as_served",
            policy=self.policy,
            parameters={},
            instances=self.asked.instances,
            snapshot=dict.fromkeys(("history", "decisions", "labels"), part),
            started_at=given["started_at"],
            asked=self.asked,
        )
        state: dict[str, Any] = msgspec.json.decode(
            msgspec.json.encode(state_of(plan, lake="lake", models="models"))
        )
        return state

    def go(self, *, redrives: int = 0) -> Walk:
        text = re.sub(r"\$\{\w+\}", FILLED, json.dumps(DEFINITION))
        return walk(json.loads(text), {}, copy.deepcopy(self).answer, redrives=redrives)


PLAN = ["PlanTraining", "IsAlone", "BuildDataset", "CheckDataset", "DataHolds"]
LEARN = [
    *PLAN,
    "TuneModel",
    "TrainModel",
    "HasChampion",
    "EvaluateModel",
    "CheckModel",
    "RegisterModel",
    "GateHolds",
]
SHADOW = [
    *LEARN,
    "EnterShadow",
    "StartShadow",
    "StartShadowMade",
    *("WaitShadow", "WatchShadow", "JudgeShadow") * 2,
]
COMPARE = [*SHADOW, "PlanComparison", "CompareModels", "CheckComparison", "ComparisonHolds"]
APPROVE = [*COMPARE, "AskApproval", "IsApproved"]
CANARY = [
    *APPROVE,
    "EnterCanary",
    "StartCanary",
    "StartCanaryMade",
    *("WaitCanary", "WatchCanary", "JudgeCanary") * 2,
]
PROBATION = [
    *CANARY,
    *("WatchesPromotion", "EnterProbation", "PromoteOnProbation", "PromoteOnProbationMade"),
    *("WaitProbation", "WatchProbation", "JudgeProbation") * 2,
]
SERVES = ["Served", "ModelServes"]
PROMOTE = ["PromoteModel", "PromoteModelMade", *SERVES]
STOPPED = ["Stopped", "NotifyStopped", "ChampionStays"]
WEEKLY_RUNS = "The retraining weekly runs, and one at a time may; this one can be started when it is done."


def test_the_phases_come_in_this_order() -> None:
    walked = World().go()
    assert walked.states == [*PROBATION, "ConfirmModel", "ConfirmModelMade", *SERVES]
    assert walked.output == {
        "run_id": "run-1",
        "outcome": "serves",
        "at": "promotion",
        "reason": "better by 0.1",
    }


def test_what_a_policy_leaves_out_is_left_out() -> None:
    walked = World(policy=direct()).go()
    learnt = [each for each in LEARN if each != "TuneModel"]
    assert walked.states == [*learnt, "AskApproval", "IsApproved", "WatchesPromotion", *PROMOTE]


def test_the_first_model_has_nobody_to_be_compared_with() -> None:
    walked = World(champion="", policy=FULL).go()
    learnt = ["EvaluateFirstModel" if each == "EvaluateModel" else each for each in LEARN]
    assert walked.states == [*learnt, "AskApproval", "IsApproved", "WatchesPromotion", *PROMOTE]
    given = {
        each["InputName"] for _, _, request in walked.requests for each in request.get("ProcessingInputs", [])
    }
    assert "champion" not in given


@pytest.mark.parametrize(
    ("world", "way", "outcome", "at", "reason"),
    [
        (World(other="weekly"), [*PLAN[:2], *STOPPED], "stopped", "plan", WEEKLY_RUNS),
        (World(verdicts={"CheckDataset": False}), [*PLAN, *STOPPED], "stopped", "checks", "CheckDataset says so"),
        (World(verdicts={"CheckModel": False}), [*LEARN, *STOPPED], "stopped", "gate", "CheckModel says so"),
        (
            World(verdicts={"CheckComparison": False}),
            [*COMPARE, "RollBack", *STOPPED],
            *("stopped", "comparison", "CheckComparison says so"),
        ),
        (
            World(approved=False),
            [*APPROVE, "RollBack", *STOPPED],
            *("rejected", "approval", "ana did not approve the model: as discussed"),
        ),
        (
            World(approved=None),
            [*COMPARE, "AskApproval", "ReadApproval", "IsApproved", "RollBack", *STOPPED],
            *("rejected", "approval", "ReadApproval says so"),
        ),
        (
            World(watches={"shadow": ["wait", "back"]}),
            [*SHADOW, "RollBack", *STOPPED],
            *("rolled_back", "shadow", "WatchShadow saw it"),
        ),
        (
            World(watches={"canary": ["wait", "back"]}),
            [*CANARY, "RollBack", *STOPPED],
            *("rolled_back", "canary", "WatchCanary saw it"),
        ),
        (
            World(watches={"probation": ["wait", "back"]}),
            [*PROBATION, "RollBack", *STOPPED],
            *("rolled_back", "probation", "WatchProbation saw it"),
        ),
    ],
    ids=lambda each: (
        f"{each.other or each.verdicts or each.watches or each.approved}" if isinstance(each, World) else ""
    ),
)
def test_every_stop_and_every_way_back_ends_with_a_sentence(
    world: World, way: list[str], outcome: str, at: str, reason: str
) -> None:
    walked = world.go()
    assert walked.states == way
    assert walked.output == {"run_id": "run-1", "outcome": outcome, "at": at, "reason": reason}
    told = {state: request for state, _, request in walked.requests}
    assert reason in told["NotifyStopped"]["Message"]
    assert "run-1" in told["NotifyStopped"]["Message"]
    if "RollBack" in way:
        assert told["RollBack"]["Payload"]["action"] == "withdraw"
        assert told["RollBack"]["Payload"]["reason"] == reason


@pytest.mark.parametrize(
    ("state", "at", "direct_way"),
    [
        ("StartCanary", "canary", False),
        ("PromoteOnProbation", "probation", False),
        ("ConfirmModel", "probation", False),
        ("PromoteModel", "promotion", True),
    ],
)
def test_a_change_that_may_not_be_made_any_more_ends_without_the_model(
    state: str, at: str, direct_way: bool
) -> None:
    walked = World(refused=state, policy=direct() if direct_way else FULL).go()
    assert walked.states[-7:] == [state, f"{state}Made", "Refused", "RollBack", *STOPPED]
    assert walked.output == {
        "run_id": "run-1",
        "outcome": "rolled_back",
        "at": at,
        "reason": "run-9 is the champion by now",
    }


def test_every_change_says_which_champion_the_run_was_planned_against() -> None:
    walked = World().go()
    asked = {
        state: request["Payload"]["champion"]
        for state, _, request in walked.requests
        if "action" in request.get("Payload", {})
    }
    assert asked == dict.fromkeys(("StartShadow", "StartCanary", "PromoteOnProbation", "ConfirmModel"), "run-0")


@pytest.mark.parametrize(
    ("labels", "unlabelled", "approval"),
    [
        (True, "person", "bounds"),
        (False, "person", "person"),
        (False, "pass", "bounds"),
        (False, "stop", "bounds"),  # The comparison itself says no.
    ],
)
def test_bounds_do_not_answer_for_a_model_of_which_no_labels_tell(
    labels: bool, unlabelled: str, approval: str
) -> None:
    policy = RunPolicy(release=msgspec.convert({"unlabelled": unlabelled}, ReleasePolicy))
    walked = World(labels=labels, policy=policy).go()
    (asked,) = [request["Payload"] for state, _, request in walked.requests if state == "AskApproval"]
    assert asked["policy"]["approval"] == approval
    assert asked["policy"]["unlabelled"] == unlabelled
    assert ("PersonDecides" in walked.states) == (approval == "person")


@pytest.mark.parametrize("stage", ["shadow", "canary", "probation"])
def test_a_redriven_execution_begins_the_stage_again_that_the_failure_had_ended(stage: str) -> None:
    name = stage.capitalize()
    enter, judge = f"Enter{name}", f"Judge{name}"
    context = {"Execution": {"RedriveCount": 1}}
    (again, _, _) = STATES[judge]["Choices"]
    rule = again["Not"]
    for entered, same in ((0, False), (1, True)):
        document = {"entered": {"redrives": entered}, "verdict": {"verdict": "back"}}
        found = evaluate(rule["Variable"], document, context) == evaluate(
            rule["NumericEqualsPath"], document, context
        )
        assert found == same
    assert again["Next"] == enter
    assert STATES[enter]["Parameters"] == {"redrives.$": "$$.Execution.RedriveCount"}


def test_a_redriven_job_has_a_name_of_its_own() -> None:
    names = [
        request.get("ProcessingJobName") or request.get("TrainingJobName")
        for redrives in (0, 1)
        for _, resource, request in World().go(redrives=redrives).requests
        if "sagemaker" in resource
    ]
    assert len(set(names)) == len(names) == 10
    assert names[:2] == ["run-1-dataset-r0", "run-1-tune-r0"]


def test_a_yes_that_the_execution_was_not_told_is_read_in_the_registry() -> None:
    told, unheard = World().go(), World(unheard=True).go()
    asked = told.states.index("AskApproval") + 1
    assert unheard.states == [*told.states[:asked], "ReadApproval", *told.states[asked:]]
    assert unheard.output == told.output


def test_every_state_can_be_reached_and_only_succeeding_ends() -> None:
    reached, left = set[str](), [DEFINITION["StartAt"]]
    while left:
        name = left.pop()
        if name not in reached:
            reached.add(name)
            left += re.findall(r'"(?:Next|Default)": "(\w+)"', json.dumps(STATES[name]))
    assert reached == set(STATES)
    ends = {name for name, each in STATES.items() if not re.search(r'"(?:Next|Default)"', json.dumps(each))}
    assert ends == {"ModelServes", "ChampionStays"}
    assert {STATES[name]["Type"] for name in ends} == {"Succeed"}


def test_a_failure_is_not_caught_so_that_it_can_be_redriven() -> None:
    catching = {name: each["Catch"] for name, each in STATES.items() if "Catch" in each}
    # That nobody answered is no failure: the registry has the last word.
    assert catching == {
        "AskApproval": [{"ErrorEquals": ["States.Timeout"], "ResultPath": None, "Next": "ReadApproval"}]
    }
    assert not [name for name, each in STATES.items() if each["Type"] == "Fail"]


@pytest.mark.parametrize("name", TASKS)
def test_every_task_has_a_limit_and_a_retry_budget(name: str) -> None:
    task = TASKS[name]
    assert task["Resource"] in RESOURCES
    if name == "AskApproval":
        assert task["TimeoutSecondsPath"] == "$.approval_seconds"
    else:
        assert 0 < task["TimeoutSeconds"] < DEFINITION["TimeoutSeconds"]
    for retry in task["Retry"]:
        assert 1 <= retry["MaxAttempts"] <= 5
        assert "States.ALL" not in retry["ErrorEquals"]
    # An error of our own code, or of a job that ran, is tried again only where that takes nothing but time.
    patient = [each for each in task["Retry"] if "States.TaskFailed" in each["ErrorEquals"]]
    function = task["Parameters"].get("FunctionName")
    if function in ("${watch_release}", "${release_model}"):
        (retry,) = patient
        assert retry is task["Retry"][-1]
        waits = [retry["IntervalSeconds"] * retry["BackoffRate"] ** n for n in range(retry["MaxAttempts"])]
        assert 900 <= sum(waits) <= 1_000
    else:
        assert len(patient) == (name in ("NotifyStopped", "ReadApproval"))


@pytest.mark.parametrize("name", JOBS)
def test_a_job_that_sagemaker_did_not_take_is_asked_for_again(name: str) -> None:
    within = {
        error: sum(retry["IntervalSeconds"] * retry["BackoffRate"] ** n for n in range(retry["MaxAttempts"]))
        for retry in JOBS[name]["Retry"]
        for error in retry["ErrorEquals"]
    }
    assert within.keys() == {
        "SageMaker.AmazonSageMakerException",
        "SageMaker.ResourceLimitExceededException",
        "ThrottlingException",
    }
    # Other jobs of the account end at some time; a request that is refused for good should soon be known.
    assert within["SageMaker.ResourceLimitExceededException"] >= 1_800
    assert within["SageMaker.AmazonSageMakerException"] <= 600


def test_the_whole_takes_longer_than_everything_that_a_policy_may_ask_for() -> None:
    longest = {}
    for name in ("shadow_hours", "approval_hours", "canary_minutes", "probation_minutes"):
        unit = 3_600 if name.endswith("hours") else 60
        schema = msgspec.json.schema(ReleasePolicy)["$defs"]["ReleasePolicy"]["properties"][name]
        longest[name] = schema["maximum"] * unit
    jobs = sum(each["TimeoutSeconds"] for name, each in JOBS.items() if name != "EvaluateFirstModel")
    assert sum(longest.values()) + jobs <= DEFINITION["TimeoutSeconds"]


def test_the_most_looks_fit_into_the_history_of_an_execution() -> None:
    # A wait has 2 events, a task 5 and 3 more for every further attempt, a choice 2; the rest of a run some 200.
    assert MOST_LOOKS * (2 + 5 + 3 + 2) + 200 < 25_000


@pytest.mark.parametrize(
    "asked",
    [
        RunInput(),
        RunInput(instances=4, spot=True),
        RunInput(spot=True, maturity="3d", validation_share=0.1),
        RunInput(engine="spark"),
    ],
    ids=["one machine", "several on spot", "spot", "spark"],
)
@pytest.mark.parametrize("champion", ["", "run-0"])
def test_every_request_to_sagemaker_is_one_that_it_takes(asked: RunInput, champion: str) -> None:
    walked = World(asked=asked, champion=champion).go()
    jobs = [(resource, request) for _, resource, request in walked.requests if "sagemaker" in resource]
    assert len(jobs) == (5 if champion else 4)
    for resource, request in jobs:
        name = resource.rsplit(":", 1)[-1].removesuffix(".sync")
        shape = SAGEMAKER.operation_model(name[0].upper() + name[1:]).input_shape
        assert shape is not None
        found = ParamValidator().validate(request, shape)
        assert not found.has_errors(), found.generate_report()
        for pattern, value in named(request, shape):
            assert re.fullmatch(pattern, value), (pattern, value)


def named(value: Any, shape: Any) -> list[tuple[str, str]]:
    """Texts with the pattern that each has to match, which botocore does not look at."""
    if shape.type_name == "structure":
        return [pair for name, inner in value.items() for pair in named(inner, shape.members[name])]
    if shape.type_name == "list":
        return [pair for inner in value for pair in named(inner, shape.member)]
    if shape.type_name == "map":
        return [pair for inner in value.values() for pair in named(inner, shape.value)]
    pattern = shape.metadata.get("pattern", "")
    # Java writes \p{L} for what Python has no name for; those are texts for people.
    return [(pattern, value)] if pattern and r"\p" not in pattern and isinstance(value, str) else []


def test_a_wrong_request_would_be_found() -> None:
    (request,) = [each for state, _, each in World().go().requests if state == "TrainModel"]
    shape = SAGEMAKER.operation_model("CreateTrainingJob").input_shape
    assert shape is not None
    wrong = {**request, "ResourceConfig": {**request["ResourceConfig"], "InstanceCount": "2"}, "Spot": True}
    report = ParamValidator().validate(wrong, shape).generate_report()
    assert "InstanceCount" in report
    assert "Spot" in report
    assert not all(re.fullmatch(*each) for each in named({**request, "TrainingJobName": "a_b"}, shape))


def test_several_machines_share_the_rows_and_spot_may_be_waited_for() -> None:
    def training(asked: RunInput) -> dict[str, Any]:
        (request,) = [each for state, _, each in World(asked=asked).go().requests if state == "TrainModel"]
        return request

    one, several = training(RunInput()), training(RunInput(instances=3, spot=True))
    distributions = [
        {each["ChannelName"]: each["DataSource"]["S3DataSource"]["S3DataDistributionType"] for each in request}
        for request in (one["InputDataConfig"], several["InputDataConfig"])
    ]
    whole = dict.fromkeys(("train", "validation", "about", "parameters"), "FullyReplicated")
    assert distributions == [whole, {**whole, "train": "ShardedByS3Key"}]
    assert one["StoppingCondition"] == {"MaxRuntimeInSeconds": 14_400}
    stopping = several["StoppingCondition"]
    assert stopping["MaxWaitTimeInSeconds"] >= stopping["MaxRuntimeInSeconds"]
    assert (one["EnableManagedSpotTraining"], several["EnableManagedSpotTraining"]) == (False, True)
    assert several["EnableInterContainerTrafficEncryption"] is True
    assert one["CheckpointConfig"] == several["CheckpointConfig"]


@pytest.mark.parametrize("name", JOBS)
def test_a_job_stops_before_its_task_gives_up(name: str) -> None:
    (request,) = [
        each
        for champion in ("", "run-0")
        for state, _, each in World(asked=RunInput(spot=True), champion=champion).go().requests
        if state == name and (champion == "" or name not in ("BuildDataset", "TuneModel", "TrainModel"))
    ][:1]
    assert max(request["StoppingCondition"].values()) < JOBS[name]["TimeoutSeconds"]


def test_nothing_but_the_dataset_over_several_machines_has_a_network() -> None:
    for asked in (RunInput(), RunInput(engine="spark")):
        isolated = {
            state: request.get("NetworkConfig", request)["EnableNetworkIsolation"]
            for state, resource, request in World(asked=asked).go().requests
            if "sagemaker" in resource
        }
        assert [state for state, each in isolated.items() if not each] == (
            ["BuildDataset"] if asked.engine == "spark" else []
        )


def test_the_state_stays_far_below_what_step_functions_carries() -> None:
    assert World().go().largest < 16_000


def test_the_definition_asks_for_exactly_its_placeholders() -> None:
    assert set(re.findall(r"\$\{(\w+)\}", json.dumps(DEFINITION))) == SUBSTITUTIONS
    invoked = {each["Parameters"]["FunctionName"][2:-1] for each in TASKS.values() if "lambda" in each["Resource"]}
    assert invoked == FUNCTIONS


@pytest.fixture
def validator() -> str:
    found = ROOT / "node_modules/.bin/asl-validator"
    if not found.exists() or shutil.which("node") is None:
        pytest.skip("asl-validator is not installed: run `make setup`")
    return str(found)


@pytest.mark.parametrize("broken", [False, True])
def test_the_definition_passes_a_validator(validator: str, tmp_path: Path, broken: bool) -> None:
    document = json.loads(re.sub(r"\$\{\w+\}", FILLED, json.dumps(DEFINITION)))
    if broken:
        document["States"]["WaitShadow"]["Next"] = "Nowhere"
    path = tmp_path / "retrain.json"
    path.write_text(json.dumps(document))
    done = subprocess.run([validator, "--json-path", str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode == 0) is not broken, done.stdout + done.stderr


def retraining(platform: Callable[[str], Any], name: str) -> dict[str, Any]:
    machines = platform(name).resources("training", "AWS::StepFunctions::StateMachine").values()
    (properties,) = [
        each["Properties"]
        for each in machines
        if each["Properties"]["StateMachineName"] == f"paywarden-{name}-retrain"
    ]
    found: dict[str, Any] = properties
    return found


@pytest.mark.parametrize("name", ["local", "dev", "staging", "prod"])
def test_every_environment_runs_the_very_same_text(platform: Callable[[str], Any], name: str) -> None:
    properties = retraining(platform, name)
    assert json.loads(properties["DefinitionString"]) == DEFINITION
    assert set(properties["DefinitionSubstitutions"]) == SUBSTITUTIONS
    assert properties["TracingConfiguration"] == {"Enabled": True}
    assert properties["LoggingConfiguration"]["Level"] == "ALL"


def test_only_the_image_differs_where_there_are_no_containers(platform: Callable[[str], Any]) -> None:
    images = {}
    for name in ("local", "dev"):
        images[name] = retraining(platform, name)["DefinitionSubstitutions"]["training_image"]
    assert images["local"] == "paywarden-training:local"
    assert "container-assets" in json.dumps(images["dev"])


def rules(platform: Callable[[str], Any], name: str) -> dict[str, dict[str, Any]]:
    found = platform(name).resources("training", "AWS::Events::Rule").values()
    return {each["Properties"]["Description"].removeprefix("Paywarden: "): each["Properties"] for each in found}


def test_retraining_is_weekly_where_the_platform_stays_up(platform: Callable[[str], Any]) -> None:
    rule = rules(platform, "prod")["learn from the week's labels"]
    assert rule["ScheduleExpression"] == "cron(0 3 ? * MON *)"
    (target,) = rule["Targets"]
    assert json.loads(target["Input"]) == {"reason": "the weekly schedule"}
    assert not [each for each in rules(platform, "local").values() if "ScheduleExpression" in each]


@pytest.mark.parametrize("name", ["local", "prod"])
def test_every_failure_goes_the_one_way(platform: Callable[[str], Any], name: str) -> None:
    rule = rules(platform, name)["a retraining ended badly"]
    detail = rule["EventPattern"]["detail"]
    assert detail["status"] == ["FAILED", "TIMED_OUT", "ABORTED"]
    assert "retrain" in json.dumps(detail["stateMachineArn"])
    (withdraw,) = rule["Targets"]
    sent = withdraw["InputTransformer"]["InputTemplate"].replace("<detail-executionArn>", '"arn"')
    assert json.loads(sent.replace("<detail-stopDate>", "1")) == {
        "action": "withdraw",
        "execution": "arn",
        "stopped_at": 1,
        "reason": "the run ended as <detail-status>",
    }
    assert "releasemodel" in json.dumps(withdraw["Arn"])
    # The function tells people what came of it, and an alarm if it is in vain.
    template = platform(name)
    variables = template.function("release_model")["Environment"]["Variables"]
    assert "Reftickets" in json.dumps(variables["ALARM_TOPIC"])
    queue = withdraw["DeadLetterConfig"]["Arn"]["Fn::GetAtt"][0]
    (invoked,) = template.resources("training", "AWS::Lambda::EventInvokeConfig").values()
    assert invoked["Properties"]["DestinationConfig"]["OnFailure"]["Destination"]["Fn::GetAtt"][0] == queue
    assert invoked["Properties"]["FunctionName"]["Ref"].startswith("releasemodel")
    (alarm,) = [
        each["Properties"]
        for each in template.resources("training", "AWS::CloudWatch::Alarm").values()
        if each["Properties"].get("Namespace") == "AWS/SQS"
    ]
    assert alarm["Dimensions"][0]["Value"]["Fn::GetAtt"][0] == queue
    assert alarm["Threshold"] == 1


@pytest.mark.parametrize("name", ["local", "prod"])
def test_a_word_in_the_registry_reaches_who_waits_for_it(platform: Callable[[str], Any], name: str) -> None:
    rule = rules(platform, name)["a model was approved or rejected in the registry"]
    assert rule["EventPattern"]["detail"] == {
        "ModelPackageGroupName": [f"paywarden-{name}-models"],
        "ModelApprovalStatus": ["Approved", "Rejected"],
    }
    (group,) = platform(name).resources("data", "AWS::SageMaker::ModelPackageGroup").values()
    assert group["Properties"]["ModelPackageGroupName"] == f"paywarden-{name}-models"
    (target,) = rule["Targets"]
    assert "settleapproval" in json.dumps(target["Arn"])
