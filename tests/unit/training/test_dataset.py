import json
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from fraud.events import Label, Outcome, OutcomeKind, Transaction
from fraud.features import STANDARD
from tests.unit.training.synthetic import (
    DAY,
    START,
    labels,
    transactions,
    write_decisions,
    write_history,
    write_labels,
)
from training.__main__ import main
from training.assessment import Assessment
from training.contract import Contract, ProgramError
from training.dataset import Options, assemble, build_dataset
from training.engines.events import table_of
from training.lake import EVENTS, TRANSACTIONS, Decisions, History, read_decisions, read_labels
from training.money import BY_DEFAULT
from training.parts import read_part
from training.rows import Rows
from training.sources import Sources, recompute, unite

FOUND, FRAUDS = transactions(5, 120, days=10, rate=0.1)
AS_OF = START + 9 * DAY
OPTIONS = Options(as_of=AS_OF, maturity=2 * DAY, minimum_frauds=1)


def _assemble(
    found: list[Transaction],
    told: list[Label],
    options: Options = OPTIONS,
    decisions: Decisions | None = None,
    outcomes: Sequence[Outcome] = (),
) -> tuple[Rows, Counter[str]]:
    history = History(table_of(found).select(TRANSACTIONS.names), EVENTS.empty_table())
    sources = Sources(history, decisions or _decisions([]), table_of(told), table_of(outcomes))
    payments = unite(sources, options.as_of, STANDARD.version)
    excluded = payments.left_out.copy()
    corrected = recompute(payments, STANDARD, "vectorised")
    return assemble(payments, sources.decisions, corrected, options, excluded=excluded), excluded


def _decisions(found: list[Transaction], **changes: object) -> Decisions:
    count = len(found)
    marked = np.arange(count * len(STANDARD.names), dtype=np.float64).reshape(count, len(STANDARD.names))
    given_ = {
        "transactions": table_of(found).select(TRANSACTIONS.names),
        "feature_sets": np.full(count, STANDARD.version, object),
        "degraded": np.zeros(count, np.bool_),
        "vectors": marked,
        "has_vector": np.ones(count, np.bool_),
        **changes,
    }
    return Decisions(**given_)  # type: ignore[arg-type]


told_later = st.lists(
    st.builds(
        Label,
        transaction=st.sampled_from(FOUND),
        kind=st.sampled_from(("chargeback", "confirmed_fraud", "confirmed_genuine")),
        known_at=st.integers(AS_OF + 1, AS_OF + 30 * DAY),
    ),
    max_size=15,
)


@settings(max_examples=25, deadline=None)
@given(told_later, st.booleans())
def test_nothing_known_later_has_any_influence(later: list[Label], keep: bool) -> None:
    options = Options(as_of=AS_OF, maturity=2 * DAY, keep_young_labelled=keep)
    early = [label for label in labels(FOUND, FRAUDS) if label.known_at <= AS_OF]
    assert early
    plain, _ = _assemble([each for each in FOUND if each.event_time <= AS_OF], early, options)
    flooded, excluded = _assemble(FOUND, [*later, *early], options)
    assert plain.event_ids == flooded.event_ids
    np.testing.assert_array_equal(plain.labels, flooded.labels)
    np.testing.assert_array_equal(plain.vectors, flooded.vectors)
    assert excluded["label_known_later"] == len(later)


told_whenever = st.lists(
    st.builds(
        Label,
        transaction=st.sampled_from(FOUND[:30]),
        kind=st.sampled_from(("chargeback", "confirmed_fraud", "confirmed_genuine")),
        known_at=st.integers(START + 2 * DAY, START + 30 * DAY),
    ),
    max_size=40,
)


@settings(max_examples=25, deadline=None)
@given(told_whenever, st.integers(3, 12))
def test_a_lake_full_of_corrections_gives_what_it_gave_on_the_day(told: list[Label], day: int) -> None:
    """Some payments are told of several times, now so and now otherwise, before the day and after it."""
    options = Options(as_of=START + day * DAY, maturity=2 * DAY)
    told = [label for label in told if label.known_at >= label.transaction.event_time]
    today, _ = _assemble(FOUND, told, options)
    then, _ = _assemble(
        [each for each in FOUND if each.event_time <= options.as_of],
        [label for label in told if label.known_at <= options.as_of],
        options,
    )
    assert today.event_ids == then.event_ids
    np.testing.assert_array_equal(today.labels, then.labels)
    np.testing.assert_array_equal(today.vectors, then.vectors)
    # Independently: the last word by then, and fraud where two came at once.
    for name, label in zip(today.event_ids, today.labels, strict=True):
        words = [
            (each.known_at, each.is_fraud)
            for each in told
            if each.transaction.event_id == name and each.known_at <= options.as_of
        ]
        assert label == (max(words)[1] if words else False)


def _declined(count: int) -> Decisions:
    return _decisions(FOUND[:count], declined=np.arange(count) < 3)


def test_a_payment_that_was_blocked_is_not_a_genuine_one() -> None:
    told = [Label(transaction=FOUND[0], kind="chargeback", known_at=FOUND[0].event_time + 1)]
    rows, excluded = _assemble(FOUND[4:10], told, decisions=_declined(4))
    # The first is known for fraud; of the two others nobody can say what they would have been.
    assert rows.event_ids == [FOUND[number].event_id for number in (0, 3, 4, 5, 6, 7, 8, 9)]
    assert excluded["blocked"] == 2
    assert rows.labels[0] == 1


@pytest.mark.parametrize(
    ("kind", "kept"), [("captured", 10), ("authorised", 10), ("declined", 9), ("reviewed", 9)]
)
def test_a_declined_payment_that_was_made_all_the_same_is_kept(kind: OutcomeKind, kept: int) -> None:
    declined = _decisions(FOUND[:1], declined=np.ones(1, np.bool_))
    outcome = Outcome(transaction=FOUND[0], kind=kind, event_time=FOUND[0].event_time + 5)
    rows, _ = _assemble(FOUND[1:10], [], decisions=declined, outcomes=[outcome])
    assert len(rows.event_ids) == kept


def test_a_payment_that_its_issuer_declined_is_no_genuine_one() -> None:
    declined = Outcome(transaction=FOUND[3], kind="declined", event_time=FOUND[3].event_time + 5)
    rows, excluded = _assemble(FOUND[:10], [], outcomes=[declined])
    assert rows.event_ids == [FOUND[number].event_id for number in range(10) if number != 3]
    assert excluded["blocked"] == 1


@pytest.mark.parametrize(("asked", "days"), [((), 7), (("--maturity", "36h"), 1.5)])
def test_the_maturity_is_the_plans_unless_another_is_asked_for(
    tmp_path: Path, asked: tuple[str, ...], days: float
) -> None:
    write_history(tmp_path, FOUND, labels(FOUND, FRAUDS))
    plan = tmp_path / "processing" / "input" / "plan" / "plan.json"
    plan.parent.mkdir()
    plan.write_text(json.dumps({"policy": {"data": {"maturity_days": 7, "minimum_frauds": 100}}}))
    assert main(["dataset", "--as-of", str(AS_OF), *asked], Contract(tmp_path, cpus=1)) == 0
    about = tmp_path / "processing" / "output" / "dataset" / "about"
    assert json.loads((about / "maturity.json").read_text())["maturity"] == days * DAY
    assert json.loads((about / "checks.json").read_text())["policy"]["maturity_days"] == days


def test_a_payment_let_through_at_random_stands_for_those_that_were_not(tmp_path: Path) -> None:
    path = write_decisions(tmp_path, FOUND[:4], [{"amount": 1.0}] * 4)
    table = pq.read_table(path)
    passing = {"would_be": ["", "decline", "", "decline"], "propensity": [1.0, 0.05, 0.0, 0.01]}
    for name, values in passing.items():
        table = table.append_column(name, [values])
    pq.write_table(table, path)
    decisions = read_decisions(path.parent, STANDARD.names)
    rows, _ = _assemble(FOUND[4:6], [], decisions=decisions)
    # The last would stand for 100.
    assert rows.weights.tolist() == [1.0, 20.0, 1.0, 50.0, 1.0, 1.0]
    assert rows.clipped_weights == 1
    pq.write_table(table.set_column(table.num_columns - 1, "propensity", [[1.0, 0.0, 0.0, 0.2]]), path)
    with pytest.raises(ProgramError, match=r"'propensity' of .* must be above 0"):
        read_decisions(path.parent, STANDARD.names)


def test_weights_go_from_the_lake_into_the_parts_and_from_there_into_the_figures(tmp_path: Path) -> None:
    """Every third decision was let through, at propensities of which some are below the bound of weights."""
    found, frauds = transactions(3, 900, rate=0.05)
    path = write_decisions(tmp_path, found, [{"amount": float(each.amount)} for each in found])
    propensities = [(0.5, 0.25, 0.005)[number // 3 % 3] if number % 3 == 0 else 1.0 for number in range(900)]
    table = pq.read_table(path)
    table = table.append_column("would_be", [["" if each == 1 else "decline" for each in propensities]])
    pq.write_table(table.append_column("propensity", [propensities]), path)
    write_labels(tmp_path, labels(found, frauds))
    options = Options(as_of=START + 40 * DAY, maturity=3 * DAY, minimum_frauds=3)
    folder = build_dataset(Contract(tmp_path), options)

    expected = {
        each.event_id: min(1 / propensity, 50.0) for each, propensity in zip(found, propensities, strict=True)
    }
    told: dict[str, float] = {}
    for name in ("train", "validation", "evaluation"):
        part = pq.read_table(folder / name).to_pydict()
        told |= dict(zip(part["event_id"], part["weight"], strict=True))
    assert told == expected
    assert sorted(set(told.values())) == [1.0, 2.0, 4.0, 50.0]
    description = json.loads((folder / "about" / "dataset.json").read_text())
    assert description["clipped_weights"] == propensities.count(0.005) == 100
    checks = json.loads((folder / "about" / "checks.json").read_text())["checks"]
    assert "label maturity" in [each["name"] for each in checks]

    rows = pq.read_table(folder / "evaluation").to_pydict()
    part_ = read_part(folder / "evaluation", ("amount",))
    np.testing.assert_array_equal(part_.weights, [expected[name] for name in rows["event_id"]])
    scores = part_.vectors[:, 0] / part_.vectors[:, 0].max()
    figures = Assessment.of(part_, scores, BY_DEFAULT)
    by_weight, plain = figures.figures(), figures.figures(weighted=False)
    truth = np.array(rows["label"])
    assert by_weight["average_precision"] == pytest.approx(
        average_precision_score(truth, scores, sample_weight=part_.weights)
    )
    assert by_weight["auc"] == pytest.approx(roc_auc_score(truth, scores, sample_weight=part_.weights))
    assert by_weight["average_precision"] != pytest.approx(plain["average_precision"], abs=1e-3)


def test_an_unsure_label_is_no_verdict_and_no_genuine_payment(tmp_path: Path) -> None:
    told = [
        Label(transaction=each, kind="confirmed_fraud", known_at=each.event_time + DAY)
        for each in (*FOUND[:3], FOUND[2])
    ]
    path = write_labels(tmp_path, told)
    table = pq.read_table(path).append_column("confidence", [[0.3, None, 0.4, 0.9]])
    pq.write_table(table, path)
    sources = Sources(
        History(table_of(FOUND[:20]).select(TRANSACTIONS.names), EVENTS.empty_table()),
        _decisions([]),
        read_labels(path.parent),
        EVENTS.empty_table(),
    )
    payments = unite(sources, AS_OF, STANDARD.version, minimum_confidence=0.5)
    excluded = Counter[str]()
    rows = assemble(payments, sources.decisions, np.zeros((20, len(STANDARD.names))), OPTIONS, excluded=excluded)
    assert rows.event_ids == [each.event_id for each in FOUND[1:20]]
    assert rows.labels.tolist() == [1, 1] + [0] * 17
    assert excluded["label_unsure"] == 1


def test_a_card_is_new_once() -> None:
    rows, _ = _assemble(list(reversed(FOUND)), [])
    seen: set[str] = set()
    for card, new in zip(rows.cards, rows.new_cards, strict=True):
        assert new == (card not in seen)
        seen.add(card)
    assert rows.countries == ["FR"] * len(rows.cards)


def test_rows_are_mature_ordered_and_labelled_by_what_was_known() -> None:
    told = labels(FOUND, FRAUDS)
    rows, excluded = _assemble(list(reversed(FOUND)), told)
    mature = [each for each in FOUND if each.event_time <= AS_OF - 2 * DAY]
    assert rows.event_ids == [each.event_id for each in mature]
    known = {label.transaction.event_id for label in told if label.known_at <= AS_OF}
    assert rows.labels.tolist() == [int(each.event_id in known) for each in mature]
    assert 0 < rows.labels.sum() < len(rows.labels)
    young = sum(AS_OF - 2 * DAY < each.event_time <= AS_OF for each in FOUND)
    assert excluded["immature"] + excluded["immature_labelled"] == young
    assert excluded["history_after_as_of"] == sum(each.event_time > AS_OF for each in FOUND)


def test_a_dispute_that_was_won_makes_the_row_genuine() -> None:
    payment = next(each for each in FOUND if FRAUDS[each.event_id] and each.event_time < AS_OF - 5 * DAY)
    lost = Label(transaction=payment, kind="chargeback", known_at=payment.event_time + DAY)
    won = Label(transaction=payment, kind="confirmed_genuine", known_at=payment.event_time + 2 * DAY)
    place = FOUND.index(payment)
    assert _assemble(FOUND, [lost])[0].labels[place] == 1
    assert _assemble(FOUND, [won, lost])[0].labels[place] == 0


def test_decisions_keep_the_vector_that_was_served() -> None:
    decided = _decisions(FOUND[:4])
    rows, excluded = _assemble(FOUND[2:6], [], decisions=decided)
    assert rows.event_ids == [each.event_id for each in FOUND[:6]]
    np.testing.assert_array_equal(rows.vectors[:4], decided.vectors)
    assert excluded["history_also_decided"] == 2


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"degraded": np.ones(4, np.bool_)}, "decision_degraded"),
        ({"feature_sets": np.full(4, "old", object)}, "decision_of_another_feature_set"),
        ({"has_vector": np.zeros(4, np.bool_)}, "decision_without_vector"),
    ],
)
def test_decisions_without_a_usable_vector_are_left_out_and_counted(
    changes: dict[str, object], reason: str
) -> None:
    rows, excluded = _assemble(FOUND[4:10], [], decisions=_decisions(FOUND[:4], **changes))
    assert rows.event_ids == [each.event_id for each in FOUND[4:10]]
    assert excluded[reason] == 4
    # Recomputed, they are of use again.
    options = Options(as_of=AS_OF, maturity=2 * DAY, vectors="as_corrected")
    rows, excluded = _assemble(FOUND[4:10], [], options, decisions=_decisions(FOUND[:4], **changes))
    alone, _ = _assemble(FOUND[:10], [])
    assert rows.event_ids == alone.event_ids
    np.testing.assert_array_equal(rows.vectors, alone.vectors)
    assert not +excluded


def test_a_degraded_decision_in_the_history_is_recomputed() -> None:
    alone, _ = _assemble(FOUND[:4], [])
    rows, _ = _assemble(FOUND[:4], [], decisions=_decisions(FOUND[:4], degraded=np.ones(4, np.bool_)))
    np.testing.assert_array_equal(rows.vectors, alone.vectors)


def test_what_was_delivered_twice_counts_once() -> None:
    once, _ = _assemble(FOUND[6:], [], decisions=_decisions(FOUND[:6]))
    double = _decisions(FOUND[:6] * 2, vectors=np.vstack([_decisions(FOUND[:6]).vectors] * 2))
    twice, excluded = _assemble(FOUND[6:] * 2, [], decisions=double)
    assert twice.event_ids == once.event_ids
    np.testing.assert_array_equal(twice.vectors, once.vectors)
    assert excluded["decision_duplicate"] == 6
    assert excluded["history_duplicate"] == len(FOUND) - 6


def test_two_transactions_of_one_name_in_the_history_are_refused() -> None:
    other = Transaction(
        transaction_id=FOUND[0].transaction_id,
        merchant_id=FOUND[0].merchant_id,
        event_time=FOUND[0].event_time + 1,
        amount=1,
        currency="EUR",
        card="card-1",
        customer="customer-1",
    )
    with pytest.raises(ProgramError, match="two different transactions named 'merchant-"):
        _assemble([*FOUND, other], [])


@pytest.mark.parametrize(("validation", "evaluation"), [(0.5, 0.5), (0.0, 0.2), (0.2, -0.1)])
def test_impossible_shares_are_refused(validation: float, evaluation: float) -> None:
    with pytest.raises(ProgramError, match="must be above 0 and leave rows"):
        Options(as_of=0, maturity=0, validation_share=validation, evaluation_share=evaluation)


def _build(root: Path, files: int) -> Path:
    """History, then decisions in some files, written in another order each time."""
    found, frauds = transactions(3, 900, rate=0.05)
    told = labels(found, frauds)
    early, late = found[:600], found[600:]
    write_history(root, early, [each for each in told if each.transaction in early])
    write_labels(root, [each for each in told if each.transaction in late])
    for number in range(files):
        part = late[number::files]
        vectors = [{name: float(each.amount % 7) for name in STANDARD.names} for each in part]
        write_decisions(root, part, vectors, name=f"2025/{files - number}")
    options = Options(as_of=START + 28 * DAY, maturity=3 * DAY, minimum_frauds=3)
    return build_dataset(Contract(root), options)


def test_the_same_input_gives_the_same_bytes_however_it_was_delivered(tmp_path: Path) -> None:
    first, second = _build(tmp_path / "a", files=1), _build(tmp_path / "b", files=4)
    names = sorted(str(path.relative_to(first)) for path in first.rglob("*.*"))
    assert names == [
        "about/checks.html",
        "about/checks.json",
        "about/consistency.html",
        "about/consistency.json",
        "about/dataset.json",
        "about/maturity.html",
        "about/maturity.json",
        "about/profile.json",
        "evaluation/part-00000.parquet",
        "train/part-00000.parquet",
        "validation/part-00000.parquet",
    ]
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name


def test_the_description_is_true(tmp_path: Path) -> None:
    folder = _build(tmp_path, files=2)
    description = json.loads((folder / "about" / "dataset.json").read_text())
    edges = []
    for name in ("train", "validation", "evaluation"):
        table = pq.read_table(folder / name).to_pydict()
        part = description["parts"][name]
        assert part["rows"] == len(table["label"])
        assert part["frauds"] == sum(table["label"]) >= 3
        assert part["window"] == [min(table["event_time"]), max(table["event_time"])]
        edges += part["window"]
        assert all(math.isfinite(value) for value in table["amount"])
    assert edges == sorted(edges)
    assert description["features"] == list(STANDARD.names)
    assert description["feature_set"] == STANDARD.version
    assert len(description["fingerprint"]) == 64
    assert description["sources"]["history"] == 600
    total = sum(part["rows"] for part in description["parts"].values())
    assert total + sum(count for reason, count in description["excluded"].items() if "label_" not in reason) == 900


def test_another_label_is_another_fingerprint(tmp_path: Path) -> None:
    first = json.loads((_build(tmp_path, files=1) / "about" / "dataset.json").read_text())["fingerprint"]
    found, _ = transactions(3, 900, rate=0.05)
    write_labels(
        tmp_path, [Label(transaction=found[9], kind="chargeback", known_at=found[9].event_time)], name="more"
    )
    second = build_dataset(Contract(tmp_path), Options(as_of=START + 28 * DAY, maturity=3 * DAY, minimum_frauds=3))
    assert json.loads((second / "about" / "dataset.json").read_text())["fingerprint"] != first
