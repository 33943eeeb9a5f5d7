"""A report as a demo could have written it."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from ops.demo.model import ModelFigures, Report, Spread, Step, Velocity

LIVE_FROM = int(datetime(2026, 2, 16, tzinfo=UTC).timestamp() * 1_000)
DAY = 86_400_000

_STEPS = (
    ("local cloud", "an AWS emulator and a local SageMaker answer on 127.0.0.1", 1.8, "port 4599"),
    ("deployment", "cdk bootstrap and cdk deploy --all brought up five stacks", 41.3, "94 resources of 14 kinds"),
    ("merchants", "two merchants have keys, stored as hashes", 0.2, "northwind, halyard"),
    ("first model", "Step Functions built, trained, judged and promoted it", 24.9, "there is no champion yet"),
    (
        "live traffic",
        "every payment and label was answered, with its features and a score",
        31.0,
        "2,610 payments",
    ),
    ("retries", "the same payment sent again is answered with the same bytes", 0.9, "40 payments sent twice"),
)
_RESOURCES = {
    "AWS::Lambda::Function": 9,
    "AWS::Lambda::LayerVersion": 3,
    "AWS::IAM::Role": 17,
    "AWS::IAM::Policy": 15,
    "AWS::DynamoDB::GlobalTable": 3,
    "AWS::ApiGateway::RestApi": 1,
    "AWS::ApiGateway::Method": 5,
    "AWS::SQS::Queue": 5,
    "AWS::S3::Bucket": 3,
    "AWS::KinesisFirehose::DeliveryStream": 2,
    "AWS::StepFunctions::StateMachine": 1,
    "AWS::CloudWatch::Alarm": 24,
    "AWS::CDK::Metadata": 5,
    "Custom::S3AutoDeleteObjects": 1,
}
_STATES = (
    ("PlanTraining", 0.8),
    ("BuildDataset", 7.9),
    ("TrainModel", 6.2),
    ("EvaluateModel", 5.5),
    ("RegisterModel", 0.7),
    ("PromoteModel", 0.6),
    ("ModelServes", 0.0),
)


def spread(values: NDArray[np.float64]) -> Spread:
    p50, p95, p99 = (float(each) for each in np.percentile(values, (50, 95, 99)))
    return Spread(p50=p50, p95=p95, p99=p99, worst=float(values.max()), count=len(values))


def model(role: str, version: str, until: int, strength: float) -> ModelFigures:
    chance = np.random.default_rng(3)
    genuine, fraud = chance.beta(0.4, 12, 950), chance.beta(0.5 + strength, 1.6, 48)
    scores = [*genuine, *fraud]
    truth = [False] * len(genuine) + [True] * len(fraud)
    precision, recall, _ = precision_recall_curve(truth, scores)
    return ModelFigures(
        version=version,
        role=role,
        auc=float(roc_auc_score(truth, scores)),
        average_precision=float(average_precision_score(truth, scores)),
        trained_until=until,
        precision=precision[::5].tolist(),
        recall=recall[::5].tolist(),
        scores_fraud=fraud.tolist(),
        scores_genuine=genuine.tolist(),
    )


def story() -> list[Velocity]:
    """A card that pays now and then, until somebody tries it out."""
    chance = np.random.default_rng(9)
    told = []
    burst = LIVE_FROM + 6 * DAY
    times = [LIVE_FROM + 2 * DAY, LIVE_FROM + 4 * DAY, *(burst + 48_000 * n for n in range(19)), burst + 3 * DAY]
    for at in times:
        day = sum(at - DAY < past < at for past in times)
        kind = "approve" if day < 3 else "challenge" if day < 6 else "review" if day < 9 else "decline"
        amount = int(chance.integers(100, 900) if day else chance.integers(1_500, 8_000))
        told.append(Velocity(at=at, amount=amount, count_24h=day, decision=kind))
    return told


def report() -> Report:
    """Everything held."""
    chance = np.random.default_rng(1)
    own = chance.lognormal(0.75, 0.22, 1_800)
    store = chance.lognormal(1.3, 0.25, 1_800)
    around = chance.lognormal(2.3, 0.35, 1_800)
    lags = np.concatenate([chance.lognormal(4.3, 0.4, 1_900), chance.uniform(400, 1_400, 60)])
    first_day = date(2026, 2, 16)
    timeline: list[dict[str, str | int]] = []
    for number in range(18):
        frauds = int(chance.poisson(7 if number < 7 else 15))
        stopped = int(frauds * (0.5 if number < 13 else 0.9)) + int(chance.poisson(3))
        timeline.append(
            {
                "day": (first_day + timedelta(days=number)).isoformat(),
                "payments": int(chance.poisson(200)),
                "frauds": frauds,
                "declined_or_reviewed": stopped,
            }
        )
    return Report(
        generated_at="2026-03-06T09:30:00+00:00",
        seed=4,
        seconds=163.2,
        ok=True,
        steps=[
            Step(name=name, claim=claim, ok=True, seconds=long, detail=found)
            for name, claim, long, found in _STEPS
        ],
        resources=dict(_RESOURCES),
        traffic={
            "history_rows": 8_000,
            "payments": sum(int(day["payments"]) for day in timeline),
            "labels": 3_112,
            "repeats": 40,
        },
        decisions={"approve": 3_314, "decline": 118, "review": 74, "challenge": 94},
        decisions_by_model={
            "first-1772000000": sum(int(day["payments"]) for day in timeline) - 950,
            "second-1772000090": 950,
        },
        latency={
            "whole call": spread(own + store + around),
            "our own code": spread(own),
            "DynamoDB calls": spread(store),
            "gateway, function start, network": spread(around),
        },
        freshness=spread(lags),
        later_rows=998,
        later_frauds=48,
        models=[
            model("first model", "first-1772000000", LIVE_FROM - 3 * DAY, 0.1),
            model("retrained model", "second-1772000090", LIVE_FROM + 10 * DAY, 0.6),
        ],
        velocity=story(),
        samples={
            "whole call": (own + store + around).tolist(),
            "our own code": own.tolist(),
            "freshness": lags.tolist(),
        },
        timeline=timeline,
        workflow=[
            {"run": run, "state": state, "seconds": seconds * factor}
            for run, factor in (("first", 1.0), ("second", 1.15))
            for state, seconds in _STATES
        ],
        verdicts=[
            "no champion to beat: average precision 0.71 on 612 payments",
            "average precision 0.86 against the champion's 0.62 on the same 240 payments",
        ],
    )
