"""How long answers take for another merchant's ids, and for ids that nobody has; docs/tenancy.md has the figures.

    .venv/bin/python -m tests.benchmarks.foreign_ids --port 4566 --pairs 300

The two of a pair follow each other at once, in an order that changes from pair to pair, so that what the machine
does meanwhile weighs on both alike.
"""

import argparse
import random
import statistics
import sys
import time

from fraud.lists import ListDefinition, StoredLists
from ops.client import Api
from ops.deployment import connect
from ops.merchants import add

CALLS = {
    "read_decision": ("GET", "/v1/decisions/{id}"),
    "read_list": ("GET", "/v1/lists/{id}"),
    "record_label": ("POST", "/v1/labels"),
}


def main() -> None:
    """Measure, and print a line for each call: the medians, and that of the differences with its 95 % interval."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pairs", type=int, default=300)
    asked = parser.parse_args()
    deployment = connect("local", port=asked.port)
    now = time.time_ns() // 1_000_000
    names = [f"timed-{now}-{each}" for each in ("a", "b")]
    owner, other = names
    api = Api(deployment.api_url, {name: add(deployment, name, at=now).secret for name in names})
    lists = (ListDefinition(name="mine", field="card", action="block"),)
    deployment.settings().put(owner, StoredLists(version=1, lists=lists, changed_at=now, changed_by="bench"))
    body = {"amount": 100, "currency": "EUR", "card": {"token": "tok-timed"}, "customer": {"id": "c"}}
    for number in range(asked.pairs):
        api.post(owner, "/v1/decisions", {**body, "transaction_id": f"mine-{number:04d}"})
    order = random.Random(7)
    for call, (method, path) in CALLS.items():
        took: dict[str, list[float]] = {"mine": [], "none": []}
        for number in range(asked.pairs):
            for kind in order.sample(sorted(took), 2):
                name = kind if call == "read_list" else f"{kind}-{number:04d}"
                if method == "GET":
                    reply = api.get(other, path.format(id=name))
                else:
                    reply = api.post(other, path, {"transaction_id": name, "label": "chargeback"})
                if reply.status != 404:
                    raise SystemExit(f"{call}: {reply.status} for {name}: {reply.body!r}")
                took[kind].append(reply.total)
        differences = sorted(mine - none for mine, none in zip(took["mine"], took["none"], strict=True))
        # Of the median, by the binomial distribution: no shape of the times is assumed.
        half = 0.98 * len(differences) ** 0.5
        low, high = (differences[round(len(differences) / 2 + side * half)] for side in (-1, 1))
        middle = statistics.median(differences)
        sys.stdout.write(
            f"| {call} | {statistics.median(took['mine']):.1f} | {statistics.median(took['none']):.1f} | "
            f"{middle:+.2f} ({low:+.2f} to {high:+.2f}) |\n"
        )


if __name__ == "__main__":
    main()
