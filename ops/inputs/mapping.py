"""The mapping file: how the columns of somebody's table become canonical rows.

A mapping is TOML. Every section but `[columns]`, `[time]` and `[amount]` may be left out::

    [columns]                       # canonical field = the file's column
    transaction_id = "TRANSACTION_ID"
    card = "CUSTOMER_ID"

    [constants]                     # canonical field = the same value for every row
    currency = "EUR"

    [prefixes]                      # put before an id, so that ids of two sources cannot collide
    card = "handbook-card-"

    [time]
    column = "TX_DATETIME"
    format = "iso8601"              # or epoch_s, epoch_ms, steps, or a strptime pattern
    step = "10m"                    # of steps: how long one is taken to be, in a file that only counts
    zone = "Europe/Brussels"        # for times without an offset; "UTC" unless told
    ambiguous = "earlier"           # the hour that the clock strikes twice: earlier, later, refuse
    nonexistent = "shift"           # the hour that the clock skips: shift, refuse

    [amount]
    column = "TX_AMOUNT"
    unit = "major"                  # or minor

    [label]
    column = "TX_FRAUD"
    fraud = [1]                     # values that mean fraud
    genuine = [0]                   # any other value is refused; an empty cell is "not known"
    unknown = [2]                   # values that mean "not known" as well
    delay = "7d"                    # known this long after the payment; or known_at = "<column>"
    kind = "chargeback"             # what the fraud is reported as when replayed
"""

import re
import tomllib
from collections.abc import Mapping as Dict
from dataclasses import dataclass
from dataclasses import field as default
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, cast, get_args
from zoneinfo import ZoneInfo

from fraud.currency import CURRENCIES
from fraud.events import LabelKind
from ops.inputs.rows import FIELDS

__all__ = ["AmountRule", "LabelRule", "Mapping", "MappingError", "TimeRule", "load_mapping", "parse_duration"]

type Scalar = str | int | float | bool

REQUIRED = ("transaction_id", "merchant_id", "currency", "card", "customer")
_OWN_SECTION = {"event_time": "[time]", "amount": "[amount]", "is_fraud": "[label]", "known_at": "[label]"}
_MAPPED = tuple(name for name in FIELDS if name not in _OWN_SECTION)
_UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


class MappingError(ValueError):
    """The mapping file, or the file it is used on, is not as it has to be."""


@dataclass(frozen=True, kw_only=True)
class TimeRule:
    """Where the time of the payment is, and how to read it."""

    column: str
    format: str = "iso8601"
    zone: str = "UTC"
    ambiguous: Literal["earlier", "later", "refuse"] = "refuse"
    nonexistent: Literal["shift", "refuse"] = "refuse"
    step: str = ""


@dataclass(frozen=True, kw_only=True)
class AmountRule:
    """Where the amount is, and whether in major (euros) or minor units (cents)."""

    column: str
    unit: Literal["major", "minor"]


@dataclass(frozen=True, kw_only=True)
class LabelRule:
    """Where the outcome is, what its values mean, and when it became known (`delay` in ms)."""

    column: str
    fraud: tuple[Scalar, ...]
    genuine: tuple[Scalar, ...]
    unknown: tuple[Scalar, ...] = ()
    delay: int = 0
    known_at: str = ""
    kind: LabelKind = "chargeback"


@dataclass(frozen=True, kw_only=True)
class Mapping:
    """A checked mapping file; see the module's documentation for its form."""

    path: str
    columns: Dict[str, str]
    time: TimeRule
    amount: AmountRule
    constants: Dict[str, str] = default(default_factory=dict)
    prefixes: Dict[str, str] = default(default_factory=dict)
    label: LabelRule | None = None

    @property
    def source_columns(self) -> tuple[str, ...]:
        """The columns to read, each once."""
        label = (self.label.column, self.label.known_at) if self.label else ()
        names = (*self.columns.values(), self.time.column, self.amount.column, *label)
        return tuple(dict.fromkeys(name for name in names if name))

    def check_columns(self, present: list[str], source: str) -> None:
        """Raise `MappingError` unless a file has every column that the mapping reads."""
        for name in self.source_columns:
            if name not in present:
                raise MappingError(
                    f"{self.path}: column {name!r} is not in {source}{_meant(name, present)} "
                    f"Its columns: {', '.join(present)}."
                )


def load_mapping(path: str | Path) -> Mapping:
    """Read and check a mapping file.

    Raises
    ------
    MappingError
        Naming the file, the section, the field and what to write instead.
    """
    where = str(path)
    try:
        document = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MappingError(f"{where}: there is no such mapping file") from None
    except tomllib.TOMLDecodeError as error:
        raise MappingError(f"{where}: not valid TOML: {error}") from None
    return _parse(document, where)


def parse_duration(text: str) -> int:
    """Turn ``7d``, ``36h``, ``90m``, ``30s`` or ``250ms`` into milliseconds.

    Raises
    ------
    ValueError
        If the text is none of these.
    """
    found = re.fullmatch(r"(\d+)\s*(ms|s|m|h|d|w)", text.strip())
    if not found:
        raise ValueError(f"{text!r} is not a duration; write a number and a unit, such as '7d', '36h' or '90m'")
    return int(found[1]) * _UNITS[found[2]]


def _parse(document: Dict[str, Any], where: str) -> Mapping:
    sections = ("columns", "constants", "prefixes", "time", "amount", "label")
    _only(document, sections, f"{where}: section")
    columns = _names(document, "columns", where)
    constants = _names(document, "constants", where)
    prefixes = _names(document, "prefixes", where)
    for name in columns.keys() & constants.keys():
        raise MappingError(f"{where}: {name!r} is in [columns] and in [constants]; keep one of them")
    for name in REQUIRED:
        if name not in columns and name not in constants:
            raise MappingError(
                f"{where}: {name!r} is missing; give its column in [columns] or a value in [constants]"
            )
    for name in prefixes.keys() - columns.keys():
        raise MappingError(
            f"{where}: [prefixes] {name!r} is not in [columns]; a prefix goes before a column's values"
        )
    currency = constants.get("currency")
    if currency is not None and currency not in CURRENCIES:
        raise MappingError(f"{where}: [constants] currency {currency!r} is not an ISO 4217 code such as 'EUR'")
    return Mapping(
        path=where,
        columns=columns,
        constants=constants,
        prefixes=prefixes,
        time=_time(_section(document, "time", where, TimeRule), where),
        amount=_amount(_section(document, "amount", where, AmountRule), where),
        label=_label(document["label"], where) if "label" in document else None,
    )


def _time(values: dict[str, Any], where: str) -> TimeRule:
    rule = TimeRule(**values)
    try:
        ZoneInfo(rule.zone)
    except (KeyError, ValueError, OSError):
        raise MappingError(
            f"{where}: [time] zone {rule.zone!r} is not a time zone; write one such as 'Europe/Brussels'"
        ) from None
    _one_of(rule.ambiguous, ("earlier", "later", "refuse"), f"{where}: [time] ambiguous")
    _one_of(rule.nonexistent, ("shift", "refuse"), f"{where}: [time] nonexistent")
    if rule.format not in ("iso8601", "epoch_s", "epoch_ms", "steps") and "%" not in rule.format:
        raise MappingError(
            f"{where}: [time] format {rule.format!r} is neither iso8601, epoch_s, epoch_ms, steps nor a pattern "
            "such as '%d/%m/%Y %H:%M:%S'"
        )
    if (rule.format == "steps") != bool(rule.step):
        raise MappingError(
            f"{where}: [time] step says how long one of the steps is, such as '10m'; give it with format = "
            "'steps', and with no other"
        )
    if rule.step:
        try:
            parse_duration(rule.step)
        except ValueError as error:
            raise MappingError(f"{where}: [time] step: {error}") from None
    return rule


def _amount(values: dict[str, Any], where: str) -> AmountRule:
    if "unit" not in values:
        raise MappingError(f"{where}: [amount] unit is missing; write 'major' (euros) or 'minor' (cents)")
    _one_of(values["unit"], ("major", "minor"), f"{where}: [amount] unit")
    return AmountRule(**values)


def _label(values: Dict[str, Any], where: str) -> LabelRule:
    section = _section({"label": values}, "label", where, LabelRule)
    for name in ("fraud", "genuine"):
        listed = section.get(name)
        if not isinstance(listed, list) or not listed:
            raise MappingError(f"{where}: [label] {name} must list the values that mean it, such as [1] or ['Y']")
        section[name] = tuple(listed)
    if not isinstance(section.get("unknown", []), list):
        raise MappingError(f"{where}: [label] unknown must list the values that mean it, such as [2]")
    section["unknown"] = tuple(section.get("unknown", []))
    if ("delay" in section) == ("known_at" in section):
        raise MappingError(
            f"{where}: [label] needs either delay (such as '7d') or known_at (a column), so that no label is "
            "used before anyone could know it"
        )
    if "delay" in section:
        try:
            section["delay"] = parse_duration(str(section["delay"]))
        except ValueError as error:
            raise MappingError(f"{where}: [label] delay: {error}") from None
    _one_of(section.get("kind", "chargeback"), get_args(LabelKind)[:2], f"{where}: [label] kind")
    return LabelRule(**section)


def _section(document: Dict[str, Any], name: str, where: str, rule: type[Any]) -> dict[str, Any]:
    section = document.get(name)
    if not isinstance(section, dict) or not isinstance(section.get("column"), str):
        raise MappingError(f'{where}: [{name}] needs column = "<a column of the file>"')
    known = tuple(rule.__dataclass_fields__)
    _only(section, known, f"{where}: [{name}] setting")
    for setting, value in section.items():
        if setting not in ("fraud", "genuine", "unknown") and not isinstance(value, str):
            raise MappingError(f"{where}: [{name}] {setting} must be text in quotes")
    return dict(section)


def _names(document: Dict[str, Any], section: str, where: str) -> dict[str, str]:
    values = document.get(section, {})
    if not isinstance(values, dict):
        raise MappingError(f"{where}: {section} must be a section, [{section}]")
    for name, value in values.items():
        if name in _OWN_SECTION:
            raise MappingError(f"{where}: [{section}] {name!r} has a section of its own, {_OWN_SECTION[name]}")
        if name not in _MAPPED:
            raise MappingError(
                f"{where}: [{section}] {name!r} is no field of a transaction{_meant(name, _MAPPED)} "
                f"Fields: {', '.join(_MAPPED)}."
            )
        if not isinstance(value, str) or not value:
            raise MappingError(f"{where}: [{section}] {name} must be text in quotes, not empty")
    return cast("dict[str, str]", values)


def _only(values: Dict[str, Any], known: tuple[str, ...], what: str) -> None:
    for name in values:
        if name not in known:
            raise MappingError(f"{what} {name!r} is unknown{_meant(name, known)} Known: {', '.join(known)}.")


def _one_of(value: object, known: tuple[str, ...], what: str) -> None:
    if value not in known:
        raise MappingError(f"{what} {value!r} is not one of {', '.join(known)}")


def _meant(name: str, known: tuple[str, ...] | list[str]) -> str:
    lowered = {candidate.lower(): candidate for candidate in known}
    close = get_close_matches(name.lower(), lowered, n=1)
    return f"; did you mean {lowered[close[0]]!r}?" if close else "."
