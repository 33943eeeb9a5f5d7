"""The container's entry: `python -m training STEP`, such as train, dataset or monitor."""

import argparse
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Never

from fraud.windows import duration
from training.consistency import report_consistency
from training.contract import Contract, ProgramError
from training.dataset import VECTORS, Options, build_dataset
from training.plan import read_plan
from training.sources import ENGINES, Engine

__all__ = ["main"]

_FAILED = 1
_STOPPED = 128 + signal.SIGTERM


class _Parser(argparse.ArgumentParser):
    """Reports a wrong command line as any other error, so that it reaches the failure file."""

    def error(self, message: str) -> Never:
        raise ProgramError(f"{self.prog}: {message}. Run it with --help to see the options.")


def main(arguments: Sequence[str], contract: Contract) -> int:
    """Run one step of the program.

    Returns
    -------
    int
        Exit code: 0, 1 if it failed (the reason lies where SageMaker looks for it), or 143 if stopped.
    """
    processing = list(arguments[:1]) != ["train"]
    try:
        _run(_parser().parse_args(arguments), contract)
    except ProgramError as error:
        return _fail(contract, str(error), processing=processing)
    except Exception as error:
        # A defect of ours: the log has the details, the file says at least what kind it was.
        traceback.print_exc()
        reason = f"Unexpected {type(error).__name__}: {error}. The log of this job shows where it happened."
        return _fail(contract, reason, processing=processing)
    return 0


def _run(options: argparse.Namespace, contract: Contract) -> None:
    # XGBoost and scikit-learn take seconds to import, and the dataset step needs neither.
    if options.step == "train":
        from training.watcher import launch

        launch(contract, worker=options.worker)
    elif options.step == "tune":
        from training.tune import tune

        tune(contract)
    elif options.step == "dataset":
        wanted = Options(
            as_of=options.as_of,
            maturity=_maturity(options, contract),
            vectors=options.vectors,
            validation_share=options.validation_share,
            evaluation_share=options.evaluation_share,
            minimum_frauds=options.minimum_frauds,
            minimum_confidence=options.minimum_confidence,
            keep_young_labelled=options.keep_young_labelled,
        )
        _with(options.engine, contract, partial(build_dataset, contract, wanted, engine=options.engine))
    elif options.step == "consistency":
        report = partial(report_consistency, contract, options.as_of, engine=options.engine)
        _with(options.engine, contract, report)
    elif options.step == "compare":
        from training.compare import Question, compare

        asked = Question(
            challenger=options.challenger,
            champion=options.champion,
            since=options.since,
            as_of=options.as_of,
            maturity=_maturity(options, contract),
        )
        compare(contract, asked, resamples=options.resamples, seed=options.seed)
    elif options.step == "replay":
        from training.replay import replay

        replay(contract)
    elif options.step == "monitor":
        from training.monitor import monitor

        look = partial(monitor, contract, engine=options.engine, resamples=options.resamples, seed=options.seed)
        _with(options.engine, contract, look)
    elif options.step == "evaluate":
        from training.evaluate import evaluate

        evaluate(contract, resamples=options.resamples, seed=options.seed)


def _maturity(options: argparse.Namespace, contract: Contract) -> int:
    given: int | None = options.maturity
    return read_plan(contract).policy.data.maturity if given is None else given


def _with(engine: Engine, contract: Contract, work: Callable[[], Path]) -> None:
    """Do the work, over all machines of the job where the engine can use them."""
    if engine != "spark":
        work()
        return
    from training.cluster import Hosts, run_over
    from training.engines.spark_session import SparkError

    try:
        run_over(Hosts.read(contract.resources), work)
    except SparkError as error:
        raise ProgramError(f"{error}.") from error


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="training", description="Paywarden's training program; folders lie under ML_ROOT.")
    steps = parser.add_subparsers(dest="step", required=True, parser_class=_Parser)
    training = steps.add_parser(
        "train", help="training job: channels train, validation, about, parameters -> model"
    )
    steps.add_parser("tune", help="processing job: plan, parameters, dataset -> parameters")
    training.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)

    dataset = steps.add_parser("dataset", help="processing job: history, decisions, labels, outcomes -> dataset")
    _lake_options(dataset)
    dataset.add_argument(
        "--vectors",
        choices=VECTORS,
        default="as_served",
        help="as scoring logged them, or all recomputed with today's features",
    )
    dataset.add_argument(
        "--maturity", type=_duration, help="age at which no label means genuine: 3d, 12h; as the plan says"
    )
    dataset.add_argument("--validation-share", type=float, default=0.15)
    dataset.add_argument("--evaluation-share", type=float, default=0.2)
    dataset.add_argument("--minimum-frauds", type=int, help="in each part; without it, as the plan says")
    dataset.add_argument(
        "--minimum-confidence", type=float, help="of a label that counts; without it, as the plan says"
    )
    dataset.add_argument("--keep-young-labelled", action="store_true", help="keep labelled rows younger than that")

    consistency = steps.add_parser(
        "consistency",
        help="processing job: the inputs of dataset -> consistency, what serving saw against what it should",
    )
    _lake_options(consistency)

    monitoring = steps.add_parser(
        "monitor",
        help="processing job: plan, the inputs of dataset, champion, evaluation -> monitoring, a look at the lake",
    )
    monitoring.add_argument("--engine", choices=ENGINES, default="vectorised", help="spark for past one machine")
    monitoring.add_argument("--resamples", type=int, default=200, help="of the bootstrap by card")
    monitoring.add_argument("--seed", type=int, default=17)

    evaluation = steps.add_parser("evaluate", help="processing job: plan, dataset, model, champion -> evaluation")
    evaluation.add_argument("--resamples", type=int, default=200, help="of the bootstrap by card")
    evaluation.add_argument("--seed", type=int, default=17)

    steps.add_parser(
        "replay",
        help="processing job: plan, bundles, decisions, labels, history, outcomes -> report: decided once more",
    )

    comparison = steps.add_parser(
        "compare", help="processing job: plan, decisions, labels, outcomes -> comparison of a model in shadow"
    )
    comparison.add_argument("--challenger", required=True, help="version of the model in shadow")
    comparison.add_argument("--champion", required=True, help="version of the model that serves")
    comparison.add_argument("--since", type=int, required=True, help="milliseconds, UTC: when the shadow began")
    comparison.add_argument("--as-of", type=int, required=True, help="milliseconds, UTC")
    comparison.add_argument(
        "--maturity", type=_duration, help="age at which no label means genuine: 3d, 12h; as the plan says"
    )
    comparison.add_argument("--resamples", type=int, default=200, help="of the bootstrap by card")
    comparison.add_argument("--seed", type=int, default=17)
    return parser


def _lake_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--as-of", type=int, required=True, help="milliseconds, UTC; nothing later has influence")
    parser.add_argument("--engine", choices=ENGINES, default="vectorised", help="spark for past one machine")


def _duration(text: str) -> int:
    try:
        return duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _fail(contract: Contract, reason: str, *, processing: bool) -> int:
    contract.write_failure(reason, processing=processing)
    sys.stderr.write(f"error: {reason}\n")
    return _FAILED


def _stop(_signal: int, _frame: FrameType | None) -> Never:
    raise SystemExit(_STOPPED)


if __name__ == "__main__":
    # As the first process of a container, Python would ignore SageMaker's stop signal unless told otherwise.
    signal.signal(signal.SIGTERM, _stop)
    raise SystemExit(main(sys.argv[1:], Contract.from_env()))
