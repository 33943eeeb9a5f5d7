"""Reading tables through a mapping: units, times, labels, and errors that a person can act on."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from ops.inputs import CANONICAL, MAPPINGS, MappingError, from_frame, load_mapping
from ops.inputs.errors import RowError
from ops.inputs.reading import read, read_frame

SHARED = Path(os.environ.get("PAYWARDEN_SHARED", Path(__file__).resolve().parents[4] / "shared"))
CARD_NUMBER = "4" + "1" * 15  # the industry's test number: no one's card
HEADER = "id,shop,card,person,currency,when,sum,bad"


def shared(name: str) -> Path:
    path = SHARED / "data" / name
    if not path.exists():
        pytest.skip(f"{path} is not here; set PAYWARDEN_SHARED to the folder that holds data/{name}")
    return path


def mapping(tmp_path: Path, *, time: str = "", amount: str = 'unit = "major"', label: str = "") -> Path:
    path = tmp_path / "mapping.toml"
    path.write_text(
        f"""
[columns]
transaction_id = "id"
merchant_id = "shop"
card = "card"
customer = "person"
currency = "currency"
[prefixes]
card = "c-"
[time]
column = "when"
{time}
[amount]
column = "sum"
{amount}
[label]
column = "bad"
fraud = ["1", "Y"]
genuine = ["0"]
{label or 'delay = "2d"'}
"""
    )
    return path


def one(tmp_path: Path, row: str, **settings: str) -> pd.DataFrame:
    """Read a CSV of one row (or several, one a line)."""
    source = tmp_path / "in.csv"
    source.write_text(f"{HEADER}\n{row}\n")
    return read_frame(source, load_mapping(mapping(tmp_path, **settings)))


def ms(*when: int) -> int:
    return int(datetime(*when, tzinfo=UTC).timestamp() * 1_000)  # type: ignore[misc,arg-type]


def test_a_row_becomes_canonical(tmp_path: Path) -> None:
    frame = one(tmp_path, "007,s1,abc,p1,EUR,2024-01-02T03:04:05,57.16,Y")
    assert list(frame.columns) == list(CANONICAL)
    row = next(from_frame(frame))
    assert row.transaction.transaction_id == "007"
    assert row.transaction.card == "c-abc"
    assert (row.transaction.device, row.transaction.channel) == ("", "ecommerce")
    assert row.transaction.amount == 5_716
    assert row.transaction.event_time == ms(2024, 1, 2, 3, 4, 5)
    assert (row.is_fraud, row.kind) == (True, "chargeback")
    assert row.known_at == ms(2024, 1, 4, 3, 4, 5)


@pytest.mark.parametrize(
    ("currency", "amount", "unit", "expected"),
    [
        ("EUR", "57.16", "major", 5_716),
        ("EUR", "1.1", "major", 110),
        ("EUR", "4.35", "major", 435),
        ("JPY", "1200", "major", 1_200),
        ("KWD", "1.234", "major", 1_234),
        ("EUR", "5716", "minor", 5_716),
        ("EUR", "1234567.89", "major", 123_456_789),
    ],
)
def test_units(tmp_path: Path, currency: str, amount: str, unit: str, expected: int) -> None:
    frame = one(tmp_path, f"1,s,c,p,{currency},2024-01-02T03:04:05,{amount},0", amount=f'unit = "{unit}"')
    assert frame["amount"].tolist() == [expected]


def test_every_cent_up_to_ten_thousand_euros_is_exact() -> None:
    from ops.inputs.convert import _amounts

    cents = pd.Series(range(1_000_000))
    currency = pd.Series(["EUR"] * len(cents))
    assert _amounts(cents / 100, currency, "major", 1).equals(cents.astype("int64"))


@pytest.mark.parametrize(
    ("time", "text", "expected"),
    [
        ("", "2024-07-01T12:00:00", ms(2024, 7, 1, 12)),
        ('zone = "Europe/Brussels"', "2024-07-01T12:00:00", ms(2024, 7, 1, 10)),
        ('zone = "Europe/Brussels"', "2024-01-01 12:00:00", ms(2024, 1, 1, 11)),
        ('zone = "Europe/Brussels"', "2024-07-01T12:00:00+05:30", ms(2024, 7, 1, 6, 30)),
        ('zone = "Europe/Brussels"', "2024-07-01T12:00:00Z", ms(2024, 7, 1, 12)),
        ('format = "epoch_s"', "1704164645", ms(2024, 1, 2, 3, 4, 5)),
        ('format = "epoch_ms"', "1704164645123", ms(2024, 1, 2, 3, 4, 5) + 123),
        ('format = "%d-%m-%Y"', "02-01-2024", ms(2024, 1, 2)),
        # 31 March 2024, 02:30 does not exist in Brussels; 27 October 2024, 02:30 happens twice.
        ('zone = "Europe/Brussels"\nnonexistent = "shift"', "2024-03-31T02:30:00", ms(2024, 3, 31, 1)),
        ('zone = "Europe/Brussels"\nambiguous = "earlier"', "2024-10-27T02:30:00", ms(2024, 10, 27, 0, 30)),
        ('zone = "Europe/Brussels"\nambiguous = "later"', "2024-10-27T02:30:00", ms(2024, 10, 27, 1, 30)),
    ],
)
def test_times(tmp_path: Path, time: str, text: str, expected: int) -> None:
    assert one(tmp_path, f"1,s,c,p,EUR,{text},1,0", time=time)["event_time"].tolist() == [expected]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2024-03-31T02:30:00", "row 1, field event_time: .* skip that hour.*nonexistent = 'shift'"),
        ("2024-10-27T02:30:00", "row 1, field event_time: .* strike that hour twice.*ambiguous"),
    ],
)
def test_hours_that_the_clock_leaves_open_are_refused_unless_decided(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(RowError, match=message):
        one(tmp_path, f"1,s,c,p,EUR,{text},1,0", time='zone = "Europe/Brussels"')


GOOD_ROW = "1,s,c,p,EUR,2024-01-02T03:04:05,1.50,0"


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("2,s,,p,EUR,2024-01-02T03:04:05,1,0", "row 2, field card: found an empty cell; every row needs a card"),
        (f"2,s,{CARD_NUMBER},p,EUR,2024-01-02T03:04:05,1,0", "row 2, field card: found text of 16 .*tokens"),
        ("2,s,c,p,EURO,2024-01-02T03:04:05,1,0", "field currency: found text of 4 characters; write the ISO"),
        ("2,s,c,p,EUR,2 January,1,0", r"field event_time: found text of 9 characters; it is no time"),
        ("2,s,c,p,EUR,,1,0", "row 2, field event_time: found an empty cell"),
        ('2,s,c,p,EUR,2024-01-02T03:04:05,"1,50",0', "row 2, field amount: found text of 4 .*with a point"),
        ("2,s,c,p,EUR,2024-01-02T03:04:05,-1,0", "field amount: found a negative number; .*leave refunds out"),
        ("2,s,c,p,EUR,2024-01-02T03:04:05,1.505,0", "field amount: .*more decimals than its currency"),
        ("2,s,c,p,EUR,2024-01-02T03:04:05,1e15,0", "field amount: .*no payment is that large"),
        (
            "2,s,c,p,EUR,2024-01-02T03:04:05,1,maybe",
            "row 2, field is_fraud: found text of 5 characters; list every",
        ),
    ],
)
def test_a_bad_row_is_named_with_field_kind_and_remedy(tmp_path: Path, bad: str, message: str) -> None:
    with pytest.raises(RowError, match=message) as caught:
        one(tmp_path, f"{GOOD_ROW}\n{bad}")
    assert CARD_NUMBER not in str(caught.value)


def test_minor_units_with_a_fraction_suggest_major_units(tmp_path: Path) -> None:
    with pytest.raises(RowError, match="unit = 'major'"):
        one(tmp_path, GOOD_ROW, amount='unit = "minor"')


def test_a_row_number_counts_over_batches(tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_text("\n".join([HEADER, *[GOOD_ROW] * 5, "6,s,c,p,EUR,2024-01-02T03:04:05,x,0"]) + "\n")
    with pytest.raises(RowError, match="row 6, field amount"):
        list(read(source, load_mapping(mapping(tmp_path)), batch_rows=2))


def test_an_empty_label_is_not_known(tmp_path: Path) -> None:
    row = next(from_frame(one(tmp_path, "1,s,c,p,EUR,2024-01-02T03:04:05,1,")))
    assert (row.is_fraud, row.known_at, row.label) == (None, None, None)


def test_a_value_can_mean_that_nobody_learnt_it(tmp_path: Path) -> None:
    rows = "\n".join(f"{bad},s,c,p,EUR,2026-01-01,1,{bad}" for bad in ("0", "1", "2"))
    found = one(tmp_path, rows, label='delay = "2d"\nunknown = [2]')
    assert found["is_fraud"].isna().tolist() == [False, False, True]
    assert found["known_at"].isna().tolist() == [False, False, True]


def test_a_column_that_counts_becomes_times(tmp_path: Path) -> None:
    rows = "\n".join(f"{step},s,c,p,EUR,{step},1,0" for step in (0, 1, 90))
    found = one(tmp_path, rows, time='format = "steps"\nstep = "10m"')
    assert found["event_time"].tolist() == [0, 600_000, 54_000_000]


def test_a_column_can_say_when_the_label_was_known(tmp_path: Path) -> None:
    text = "1,s,c,2024-01-05T00:00:00,EUR,2024-01-02T03:04:05,1,Y"
    frame = one(tmp_path, text, label='known_at = "person"')
    assert frame["known_at"].tolist() == [ms(2024, 1, 5)]


def test_a_missing_column_names_the_ones_that_are_there(tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_text("id,shop,crd,person,currency,when,sum,bad\n")
    with pytest.raises(
        MappingError, match=r"column 'card' is not in in\.csv; did you mean 'crd'\? Its columns: id, shop, crd"
    ):
        list(read(source, load_mapping(mapping(tmp_path))))


@pytest.mark.parametrize("name", ["in.xlsx", "missing.csv"])
def test_a_file_of_no_known_kind_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "in.xlsx").touch()
    with pytest.raises(MappingError, match=r"neither \.parquet|no such file"):
        list(read(tmp_path / name, load_mapping(mapping(tmp_path))))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("in.csv", b"", "it is empty"),
        ("in.csv", HEADER.encode() + b"\n1,s,c,p\xff,EUR,2024-01-02T03:04:05,1,0\n", "not UTF-8"),
        (
            "in.csv",
            HEADER.encode() + b"\n1,2,3,4,5,6,7,8\n1,2,3,4,5,6,7,8,9\n",
            "line 3: Expected 8 columns, got 9",
        ),
        ("in.parquet", b"no parquet at all", "no Parquet file"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(MappingError, match=message):
        list(read(tmp_path / name, load_mapping(mapping(tmp_path))))


def test_parquet_folders_and_csv_read_alike(tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    table = pd.DataFrame(
        {
            "id": [1, 2, 3],
            "shop": "s",
            "card": [596.0, 597.0, 598.0],  # whole numbers that came as floats
            "person": "p",
            "currency": "EUR",
            "when": pd.to_datetime(["2024-01-01 10:00", "2024-01-01 11:00", "2024-01-01 12:00"]),
            "sum": [1.5, 2.5, 3.5],
            "bad": [0, 1, 0],
        }
    )
    table[:2].to_parquet(folder / "a.parquet")
    table[2:].to_parquet(folder / "b.parquet")
    table.astype({"card": int}).to_csv(tmp_path / "all.csv", index=False)
    rules = load_mapping(mapping(tmp_path))
    first, second = read_frame(folder, rules), read_frame(tmp_path / "all.csv", rules)
    pd.testing.assert_frame_equal(first, second)
    assert first["card"].tolist() == ["c-596", "c-597", "c-598"]


def test_since_until_and_limit(tmp_path: Path) -> None:
    rows = "\n".join(f"{hour},s,c,p,EUR,2024-01-01T{hour:02d}:00:00,1,0" for hour in range(10))
    one(tmp_path, rows)
    rules, source = load_mapping(mapping(tmp_path)), tmp_path / "in.csv"
    kept = read_frame(source, rules, since=ms(2024, 1, 1, 3), until=ms(2024, 1, 1, 6))
    assert kept["transaction_id"].tolist() == ["3", "4", "5"]
    batches = list(read(source, rules, since=ms(2024, 1, 1, 3), limit=4, batch_rows=3))
    assert sum(map(len, batches)) == 4
    assert len(read_frame(source, rules, until=0)) == 0


def test_a_slice_of_the_handbook() -> None:
    source = shared("handbook/transactions_visible.parquet")
    frame = read_frame(source, load_mapping(MAPPINGS / "handbook.toml"), limit=20_000)
    raw = pd.read_parquet(source, columns=["TX_AMOUNT", "TX_FRAUD", "TX_DATETIME"]).head(20_000)
    assert (frame["amount"] == (raw["TX_AMOUNT"] * 100).round()).all()
    assert frame["is_fraud"].sum() == raw["TX_FRAUD"].sum()
    assert frame["event_time"].iloc[0] == ms(2018, 4, 1, 0, 0, 31)
    assert ((frame["known_at"] - frame["event_time"]) == 7 * 86_400_000).all()
    first = next(from_frame(frame)).transaction
    assert (first.transaction_id, first.card, first.customer) == ("handbook-0", "card-596", "customer-596")
    assert (first.merchant_id, first.currency) == ("terminal-3156", "EUR")


def test_the_handbook_by_date_without_reading_past_the_limit() -> None:
    source = shared("handbook/transactions_visible.parquet")
    rules = load_mapping(MAPPINGS / "handbook.toml")
    since = ms(2018, 4, 3)
    frame = read_frame(source, rules, since=since, limit=500)
    assert len(frame) == 500
    assert since <= frame["event_time"].min() < since + 600_000


def test_a_slice_of_sparkov() -> None:
    source = shared("sparkov_generated/transactions_train.parquet")
    frame = read_frame(source, load_mapping(MAPPINGS / "sparkov.toml"), limit=5_000)
    assert len(frame) == 5_000
    assert frame["amount"].min() > 0
    assert frame["is_fraud"].notna().all()


def test_a_telephone_number_that_passes_the_luhn_check_is_no_card_number(tmp_path: Path) -> None:
    path = mapping(tmp_path)
    path.write_text(path.read_text().replace("[prefixes]", 'phone = "tel"\nip = "from"\n[prefixes]'))
    source = tmp_path / "in.csv"
    row = "1,s,c,p,EUR,2026-01-01T00:00:00Z,1.00,0"
    address = "2a01:4860:4860:0:1111::1000"
    source.write_text(f"{HEADER},tel,from\n{row},+4915112345678,{address}\n")
    [read_row] = from_frame(read_frame(source, load_mapping(path)))
    assert (read_row.transaction.phone, read_row.transaction.ip) == ("+4915112345678", address)
    for phone in (CARD_NUMBER, f"+{CARD_NUMBER}", "4915112345678"):
        source.write_text(f"{HEADER},tel,from\n{row},{phone},\n")
        with pytest.raises(RowError, match=r"field phone: .*card number"):
            read_frame(source, load_mapping(path))


def test_an_import_from_before_a_field_is_read_as_if_nobody_had_sent_it(tmp_path: Path) -> None:
    frame = one(tmp_path, "1,s,c,p,EUR,2026-01-01T00:00:00Z,1.00,0")
    assert list(from_frame(frame.drop(columns=["phone", "channel"]))) == list(from_frame(frame))
    with pytest.raises(KeyError, match="card"):
        list(from_frame(frame.drop(columns=["card"])))
