"""Deploy the platform to a local cloud of its own, break it in every way it has to stand, and judge what is left.

Every drill is carried out while payments are sent. The table and all that was looked at is in build/drills.json.
"""

import argparse
import sys
import time
import traceback
from pathlib import Path

from tests.cloud import deployed
from tests.drills.carrying import carried_out, warmed_up
from tests.drills.catalogue import DRILLS
from tests.drills.drill import Drill, Result
from tests.drills.messages import say
from tests.drills.report import show, tell, write
from tests.drills.stage import Stage, staged
from tests.load.report import Finding

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build" / "drills"
BACKLOG, SHORT_BACKLOG = 100_000, 1_000


def main() -> int:
    parser = argparse.ArgumentParser(prog="make drills", description=__doc__)
    parser.add_argument("--list", action="store_true", help="name the drills, and do nothing")
    parser.add_argument("--only", action="append", choices=list(DRILLS), metavar="NAME", help="may be repeated")
    parser.add_argument("--short", action="store_true", help="a third of the time, and a small backlog")
    parser.add_argument("--backlog", type=int, help=f"messages that pile up: {BACKLOG:,}, or {SHORT_BACKLOG:,}")
    parser.add_argument(
        "--port", type=int, help="of a local cloud that is deployed to and unused, and is left running"
    )
    given = parser.parse_args()
    if given.list:
        for drill in DRILLS.values():
            sys.stdout.write(f"{drill.name:20} {drill.fault}\n{'':20} holds: {drill.holds}\n")
        return 0
    results = _run(given)
    show(results)
    broken = [result.name for result in results if not result.held]
    say(f"{len(results) - len(broken)} of {len(results)} held; broken: {', '.join(broken) or 'none'}")
    return int(bool(broken))


def _run(given: argparse.Namespace) -> list[Result]:
    backlog = given.backlog or (SHORT_BACKLOG if given.short else BACKLOG)
    names = given.only or list(DRILLS)
    results: list[Result] = []
    with (
        deployed(given.port, say) as deployment,
        staged(deployment, FOLDER, short=given.short, backlog=backlog) as stage,
    ):
        warmed_up(stage)
        for number, name in enumerate(names, 1):
            say(f"{number} of {len(names)}: {name}: {DRILLS[name].fault}")
            begin = time.monotonic()
            results.append(_result(DRILLS[name](), stage))
            tell(results[-1])
            # After each, so that a run that is ended leaves what it found.
            write(results, ROOT / "build" / "drills.json")
            say(f"  {time.monotonic() - begin:.0f} s in all")
    return results


def _result(drill: Drill, stage: Stage) -> Result:
    """What comes of a drill. One that fails itself has not held; those after it are carried out all the same."""
    try:
        return carried_out(drill, stage)
    except Exception as error:
        traceback.print_exception(error)
        finding = Finding("the drill could be carried out", False, f"{type(error).__name__}: {error}")
        return Result(drill.name, drill.fault, drill.holds, 0, 0, 0.0, 0, 0, 0, [finding])


if __name__ == "__main__":
    sys.exit(main())
