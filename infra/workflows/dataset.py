"""Phase 2: the dataset, on as many machines as the plan says, and whether it is fit to learn from."""

from infra.workflows.states import State, choose, planned_machines, process
from infra.workflows.verdict import read_verdict

__all__ = ["dataset"]

_SECONDS = 2 * 3600


def dataset(*, tune: str, train: str, stop: str) -> dict[str, State]:
    """History, decisions and labels -> rows split by time, with a report of what was checked in them."""
    return {
        "BuildDataset": process(
            step="dataset",
            arguments="$.dataset.arguments",
            # SageMaker refuses an input whose prefix holds nothing, so the plan says which there are.
            inputs={"ProcessingInputs.$": "$.dataset.inputs"},
            output="dataset",
            output_uri="$.places.dataset",
            machines=planned_machines("$.dataset.machines"),
            # Several machines must reach one another; SageMaker does not promise that to isolated processing jobs.
            network={
                "EnableNetworkIsolation.$": "$.dataset.machines.isolated",
                "EnableInterContainerTrafficEncryption.$": "$.dataset.machines.encrypted",
            },
            seconds=_SECONDS,
            next_state="CheckDataset",
        ),
        "CheckDataset": read_verdict(
            report="States.Format('{}about/checks.json', $.places.dataset)", at="checks", next_state="DataHolds"
        ),
        "DataHolds": choose(("$.verdict.passed", False, stop), ("$.phases.tuning", True, tune), otherwise=train),
    }
