"""Turning columns of a batch into canonical ones; errors name the row, the field and the remedy.

No error repeats a value: a mapping that is wrong by one column may point at card numbers.
"""

from typing import Any, NoReturn

import numpy as np
import pandas as pd

from fraud.cards import is_card_number, may_hold
from fraud.currency import CURRENCIES
from fraud.events import MOST_AMOUNT
from ops.inputs.errors import RowError
from ops.inputs.mapping import LabelRule, Mapping, TimeRule, parse_duration
from ops.inputs.rows import CANONICAL, FIELDS

__all__ = ["convert"]

_OPTIONAL_DEFAULTS = {"channel": "ecommerce", "three_ds": "none"}
_REQUIRED = ("transaction_id", "merchant_id", "currency", "card", "customer")


def convert(batch: pd.DataFrame, mapping: Mapping, first_row: int) -> pd.DataFrame:
    """Turn a batch of source rows into canonical rows.

    Parameters
    ----------
    batch : pandas.DataFrame
        With the columns `mapping.source_columns`.
    first_row : int
        The number of the batch's first row in the file, counting data rows from 1; for the errors.

    Returns
    -------
    pandas.DataFrame
        Columns `CANONICAL`, index as in `batch`.

    Raises
    ------
    RowError
        Naming row, field, the kind of value found, and the remedy.
    """
    batch = batch.reset_index(drop=True)
    out: dict[str, Any] = {}
    for name in FIELDS:
        if name in ("event_time", "amount"):
            continue
        if name in mapping.columns:
            out[name] = _text(batch[mapping.columns[name]], name, mapping, first_row)
        else:
            value = mapping.constants.get(name, _OPTIONAL_DEFAULTS.get(name, ""))
            out[name] = pd.Series([value] * len(batch), dtype="object")
    out["event_time"] = _times(batch[mapping.time.column], mapping.time, "event_time", first_row)
    out["amount"] = _amounts(batch[mapping.amount.column], out["currency"], mapping.amount.unit, first_row)
    out["is_fraud"] = pd.Series(pd.NA, index=batch.index, dtype="boolean")
    out["known_at"] = pd.Series(pd.NA, index=batch.index, dtype="Int64")
    if mapping.label:
        out["is_fraud"] = _outcomes(batch[mapping.label.column], mapping.label, first_row)
        if mapping.label.known_at:
            column = batch[mapping.label.known_at].where(out["is_fraud"].notna())
            known = _times(column, mapping.time, "known_at", first_row, required=False)
        else:
            known = (out["event_time"] + mapping.label.delay).astype("Int64")
        out["known_at"] = known.where(out["is_fraud"].notna())
    return pd.DataFrame(out)[list(CANONICAL)]


def _fail(bad: "pd.Series[bool]", values: "pd.Series[Any]", field: str, first_row: int, why: str) -> NoReturn:
    place = int(np.flatnonzero(bad.to_numpy())[0])
    others = int(bad.sum()) - 1
    more = f" ({others} more such rows in this batch)" if others else ""
    raise RowError(f"row {first_row + place}, field {field}: found {_kind(values.iloc[place])}; {why}{more}")


def _kind(value: object) -> str:
    """Describe a value without repeating it."""
    if value is None or value is pd.NaT or (isinstance(value, float) and np.isnan(value)) or value is pd.NA:
        return "an empty cell"
    if isinstance(value, str):
        return f"text of {len(value)} characters" if value else "empty text"
    if isinstance(value, bool | np.bool_):
        return "true or false"
    if isinstance(value, int | np.integer):
        return f"a whole number of {len(str(abs(int(value))))} digits"
    if isinstance(value, float | np.floating):
        return "a negative number" if value < 0 else "a number with a fraction"
    return f"a {type(value).__name__}"


def _text(values: "pd.Series[Any]", field: str, mapping: Mapping, first_row: int) -> "pd.Series[Any]":
    empty = values.isna()
    if pd.api.types.is_float_dtype(values):
        # Whole numbers with gaps arrive as floats: 596.0 is the id 596, and 596.5 is no id.
        split = ~empty & (values % 1 != 0)
        if split.any():
            _fail(split, values, field, first_row, "an id must be text or a whole number; map another column")
        values = values.astype("Int64")
    text = values.astype("string").str.strip().fillna("").astype("object")
    blank = text == ""
    if field in _REQUIRED and blank.any():
        _fail(blank, values, field, first_row, f"every row needs a {field}; fill it in, or leave the row out")
    distinct = text.drop_duplicates()
    cards = {each for each in distinct if is_card_number(each) and not may_hold(field, each)}
    if cards:
        _fail(
            text.isin(cards),
            values,
            field,
            first_row,
            "it reads as a card number (Luhn); replace card numbers by tokens before importing",
        )
    if field == "currency":
        unknown = ~text.isin(list(CURRENCIES))
        if unknown.any():
            _fail(unknown, values, field, first_row, "write the ISO 4217 code, such as EUR")
    prefix = mapping.prefixes.get(field, "")
    return text.where(blank, prefix + text) if prefix else text


def _amounts(values: "pd.Series[Any]", currency: "pd.Series[Any]", unit: str, first_row: int) -> "pd.Series[int]":
    numbers = pd.to_numeric(values, errors="coerce").astype("float64")
    unreadable = numbers.isna() | ~np.isfinite(numbers)
    if unreadable.any():
        _fail(
            unreadable,
            values,
            "amount",
            first_row,
            "write a plain number with a point, such as 57.16, without currency signs or thousands separators",
        )
    if (numbers < 0).any():
        _fail(numbers < 0, numbers, "amount", first_row, "an amount cannot be negative; leave refunds out")
    factor = 10.0 ** currency.map(CURRENCIES).astype("float64") if unit == "major" else 1.0
    minor = numbers * factor
    whole = minor.round()
    # A float near 57.16 times 100 may miss 5716 by a hair, never by a tenth of a cent.
    fraction = (minor - whole).abs() > np.maximum(1e-6, minor.abs() * 1e-12)
    if fraction.any():
        remedy = (
            "it has more decimals than its currency; round it at the source"
            if unit == "major"
            else "minor units are whole numbers; is the column in major units ([amount] unit = 'major')?"
        )
        _fail(fraction, numbers, "amount", first_row, remedy)
    if (whole > MOST_AMOUNT).any():
        _fail(
            whole > MOST_AMOUNT,
            numbers,
            "amount",
            first_row,
            "no payment is that large; check the column and unit",
        )
    return whole.astype("int64")


def _times(
    values: "pd.Series[Any]", rule: TimeRule, field: str, first_row: int, *, required: bool = True
) -> "pd.Series[Any]":
    parsed = _parsed(values, rule)
    unreadable = parsed.isna() & (values.notna() | required)
    if unreadable.any():
        _fail(unreadable, values, field, first_row, f"it is no time of the form {rule.format!r} ([time] format)")
    if parsed.dt.tz is None:
        parsed = _placed(parsed, values, rule, field, first_row)
    utc = parsed.dt.tz_convert("UTC").dt.tz_localize(None).astype("datetime64[ms]")
    numbers = utc.astype("int64")
    return pd.Series(numbers) if required else pd.Series(numbers.astype("Int64").where(utc.notna()))


def _parsed(values: "pd.Series[Any]", rule: TimeRule) -> "pd.Series[Any]":
    """Times as the file has them: with an offset (in UTC then), or without one."""
    if pd.api.types.is_datetime64_any_dtype(values):
        return values
    if rule.format in ("epoch_s", "epoch_ms", "steps"):
        numbers = pd.to_numeric(values, errors="coerce").astype("float64").to_numpy(na_value=np.nan)
        scale = parse_duration(rule.step) if rule.step else 1_000 if rule.format == "epoch_s" else 1
        # Beyond the year 9999 a number is no time; it is microseconds taken for milliseconds, say.
        usable = np.isfinite(numbers) & (np.abs(numbers * scale) < 253_402_300_800_000)
        stamps = np.where(usable, numbers * scale, 0).round().astype("int64").astype("datetime64[ms]")
        stamps[~usable] = np.datetime64("NaT", "ms")
        return pd.Series(stamps, index=values.index).dt.tz_localize("UTC")
    text = values.astype("string")
    pattern = "ISO8601" if rule.format == "iso8601" else rule.format
    # An offset makes a time absolute; times with and without one in one column are two meanings.
    if rule.format == "iso8601":
        offset = text.str.contains(r":.*(?:Z|[+-]\d{2}:?\d{2})$", regex=True).fillna(False)
    else:
        offset = pd.Series("%z" in rule.format, index=text.index)
    absolute = bool(offset.any())
    return pd.Series(
        pd.to_datetime(text.where(offset) if absolute else text, format=pattern, errors="coerce", utc=absolute)
    )


def _placed(
    naive: "pd.Series[Any]", values: "pd.Series[Any]", rule: TimeRule, field: str, first_row: int
) -> "pd.Series[Any]":
    """Give times without an offset their zone, deciding what the clock leaves open."""
    early = np.ones(len(naive), dtype=bool)
    kept = naive.dt.tz_localize(rule.zone, ambiguous="NaT", nonexistent="NaT")
    open_ = kept.isna() & naive.notna()
    if not open_.any():
        return pd.Series(kept)
    shifted = naive.dt.tz_localize(rule.zone, ambiguous=early, nonexistent="NaT")
    skipped = shifted.isna() & naive.notna()
    if skipped.any() and rule.nonexistent == "refuse":
        _fail(
            skipped,
            values,
            field,
            first_row,
            f"the clocks of {rule.zone} skip that hour; correct [time] zone, or set nonexistent = 'shift'",
        )
    twice = open_ & ~skipped
    if twice.any() and rule.ambiguous == "refuse":
        _fail(
            twice,
            values,
            field,
            first_row,
            f"the clocks of {rule.zone} strike that hour twice; set [time] ambiguous to 'earlier' or 'later'",
        )
    chosen = early if rule.ambiguous != "later" else ~early
    return pd.Series(naive.dt.tz_localize(rule.zone, ambiguous=chosen, nonexistent="shift_forward"))


def _outcomes(values: "pd.Series[Any]", rule: LabelRule, first_row: int) -> "pd.Series[Any]":
    meaning = {_norm(value): True for value in rule.fraud} | {_norm(value): False for value in rule.genuine}
    found = values.map(lambda value: meaning.get(_norm(value)), na_action="ignore").astype("boolean")
    blank = values.isna() | (values.astype("string").str.strip() == "").fillna(False)
    blank |= values.map(_norm).isin([_norm(value) for value in rule.unknown])
    strange = found.isna() & ~blank
    if strange.any():
        _fail(strange, values, "is_fraud", first_row, "list every value in [label] fraud, genuine or unknown")
    return found


def _norm(value: object) -> str:
    """One spelling for 1, 1.0, "1" and true."""
    if isinstance(value, bool | np.bool_):
        return str(int(value))
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    text = str(value).strip().lower()
    return {"true": "1", "false": "0"}.get(text, text)
