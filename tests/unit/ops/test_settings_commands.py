"""What merchants set, from the operators' side: checked as in the API, and recorded under a name."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from fraud.tokens import Tokeniser
from ops import cli
from ops.settings import Desk, RefusedError, commands, import_entries
from runtime.stores.batches import ThrottledError
from runtime.stores.documents import Entry
from runtime.stores.entries import MOST_ENTRIES
from runtime.stores.settings import MemorySettingsStore
from tests.unit.lambdas.settings_desk import NOW
from tests.unit.lambdas.support import POLICY

RULES = {"mode": "first_match", "rules": [{"id": "large", "when": "amount > 100000", "action": "review"}]}


def desk_of(store: MemorySettingsStore, by: str = "jane") -> Desk:
    return Desk(
        merchant_id="acme",
        store=store,
        tokeniser=lambda: Tokeniser(b"k" * 64),
        default=lambda: POLICY,
        by=by,
        clock=lambda: NOW,
    )


@pytest.fixture
def store() -> MemorySettingsStore:
    return MemorySettingsStore()


@pytest.fixture
def run(store: MemorySettingsStore, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setattr(commands, "connect", lambda *_given, **_named: None)
    monkeypatch.setattr(Desk, "of", lambda _deployment, _merchant, by="": desk_of(store, by))
    return lambda *words: CliRunner().invoke(cli.app, list(words))


def written(folder: Path, content: object, name: str = "rules.json") -> str:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return str(path)


def test_what_show_prints_can_be_put_again(run: Callable[..., Result], tmp_path: Path) -> None:
    put = run("rules", "put", written(tmp_path, RULES), "-m", "acme", "--by", "jane")
    assert (put.exit_code, put.stdout) == (0, "")
    assert "version 1" in put.stderr
    assert "operator:jane" in put.stderr
    show = run("rules", "show", "-m", "acme")
    assert "amount" in show.stderr
    shown = json.loads(show.stdout)
    assert [rule["id"] for rule in shown["rules"]] == ["large"]
    again = run("rules", "put", written(tmp_path, shown), "-m", "acme", "--by", "jim")
    assert "version 1," in again.stderr
    shown["rules"][0]["action"] = "decline"
    stale = run("rules", "put", written(tmp_path, shown), "-m", "acme", "--by", "jim", "--based-on", "0")
    assert isinstance(stale.exception, RefusedError)
    assert "version 2," in run("rules", "put", written(tmp_path, shown), "-m", "acme", "--by", "jim").stderr
    listed = run("rules", "versions", "-m", "acme").stdout.split()
    assert [word for word in listed if word.startswith("operator:")] == ["operator:jim", "operator:jane"]


def test_a_check_stores_nothing_and_names_the_place(
    run: Callable[..., Result], store: MemorySettingsStore, tmp_path: Path
) -> None:
    good = run("rules", "check", written(tmp_path, RULES), "-m", "acme")
    assert "1 rules can be kept" in good.stderr
    bad = written(tmp_path, {"rules": [{**RULES["rules"][0], "when": "amonut > 1"}]})  # type: ignore[dict-item]  # RULES is a literal of mixed types
    refused = run("rules", "check", bad, "-m", "acme").exception
    assert isinstance(refused, RefusedError)
    assert "rules[0].when" in str(refused)
    assert "amount" in str(refused)
    assert desk_of(store).ask(desk_of(store).rules.show)["version"] == 0


def test_a_policy_is_put_and_shown(run: Callable[..., Result], tmp_path: Path) -> None:
    assert "platform" in run("policy", "show", "-m", "acme").stderr
    file = written(tmp_path, {"costs": {}, "most_declined": 0.1})
    assert run("policy", "put", file, "-m", "acme", "--by", "jane").exit_code == 0
    shown = json.loads(run("policy", "show", "-m", "acme").stdout)
    assert set(shown) == {"costs", "unscored_limit", "most_declined"}
    assert "operator:jane" in run("policy", "versions", "-m", "acme").stdout


@pytest.mark.parametrize("words", ["rules put x", "policy put x", "lists import x -n a", "lists remove -n a"])
def test_a_change_needs_a_name(run: Callable[..., Result], words: str) -> None:
    assert run(*words.split(), "-m", "acme").exit_code == 2


def test_a_file_of_any_length_is_put_on_a_list_once(
    run: Callable[..., Result], store: MemorySettingsStore, tmp_path: Path
) -> None:
    definition = "-m acme -n mails --by jane --field email --action block"
    made = run("lists", "define", *definition.split())
    assert made.exit_code == 0
    lines = ["value,expires_at,note", *(f"p{number}@example.com,,n {number}" for number in range(123))]
    lines += ["P5@example.com,2026-03-01T00:00:00Z,again", "old@example.com,2025-01-01T00:00:00Z", ""]
    file = written(tmp_path, "\n".join(lines), "mails.csv")
    words = ("lists", "import", file, "-m", "acme", "-n", "mails", "--by", "jane")
    assert "123 added or changed, 0 as they were, 1 expired" in run(*words).stderr
    assert "0 added or changed, 123 as they were, 1 expired" in run(*words).stderr
    entries, _ = store.entries("acme", "mails#1", now=NOW, limit=500)
    assert len(entries) == 123
    (twice,) = [each for each in entries if each.expires_at]
    assert (twice.note, twice.added_by) == ("again", "operator:jane")
    shown = run("lists", "show", "-m", "acme", "-n", "mails", "--limit", "2")
    assert shown.stdout.count("mail_") == 2
    assert "p1@example.com" not in shown.output
    assert "--cursor mail_" in shown.stderr
    assert "mails" in run("lists", "show", "-m", "acme").stdout
    gone = ("lists", "remove", "-m", "acme", "-n", "mails", "--by", "jane", "--based-on")
    assert run(*gone, "7").exit_code == 1
    assert "version 2" in run(*gone, "1").stderr
    assert "mails" not in run("lists", "show", "-m", "acme").stdout


def test_a_page_may_end_with_a_token_that_reads_as_a_card_number(
    run: Callable[..., Result], store: MemorySettingsStore
) -> None:
    definition = "-m acme -n vip --by jane --field customer --action allow"
    run("lists", "define", *definition.split())
    read_as_card = f"cust_{'4111' * 4}{'a' * 16}"
    entries = [Entry(value=each, added_at=NOW, added_by="key:k") for each in (read_as_card, f"cust_{'f' * 32}")]
    store.change_entries("acme", "vip#1", "customer", now=NOW, by="key:k1", add=entries)
    show = ("lists", "show", "-m", "acme", "-n", "vip", "--limit", "1")
    assert f"--cursor {read_as_card}" in run(*show).stderr
    assert "cust_ff" in run(*show, "--cursor", read_as_card).stdout


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("411", "value"),
        ("4111 1111 1111 1111", "value"),
        ("411111,tomorrow", "expires_at"),
        ("411111,2026-05-01T00:00:00", "expires_at"),
        ("411111,,note,more", "at most"),
        (f"411111,,{'x' * 201}", "note"),
        (",,note", "value"),
    ],
)
def test_a_line_that_cannot_be_an_entry_is_named_before_any_is_stored(
    store: MemorySettingsStore, tmp_path: Path, line: str, told: str
) -> None:
    desk = desk_of(store)
    desk.ask(desk.lists.change, body=b'{"field": "bin", "action": "block"}', name="bins")
    good = "\n".join(f"{500_000 + number}" for number in range(MOST_ENTRIES + 5))
    file = Path(written(tmp_path, f"{good}\n{line}\n", "bins.csv"))
    with pytest.raises(RefusedError, match=told) as refused:
        import_entries(desk, "bins", file, lambda _done, _total: None)
    assert f"line {MOST_ENTRIES + 6}" in str(refused.value)
    assert line not in str(refused.value)
    assert store.entries("acme", "bins", now=NOW, limit=9) == ([], "")


def test_what_is_not_there_is_told(store: MemorySettingsStore, tmp_path: Path) -> None:
    def quiet(_done: int, _total: int) -> None:
        return

    with pytest.raises(RefusedError, match="no list"):
        import_entries(desk_of(store), "bins", tmp_path / "x.csv", quiet)
    desk = desk_of(store)
    desk.ask(desk.lists.change, body=b'{"field": "bin", "action": "block"}', name="bins")
    with pytest.raises(RefusedError, match="cannot be read"):
        import_entries(desk, "bins", tmp_path / "x.csv", quiet)
    with pytest.raises(RefusedError, match="--by"):
        desk_of(store, by="jane doe")


def test_a_store_that_takes_no_more_is_told(store: MemorySettingsStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_given: object) -> None:
        raise ThrottledError("settings: reads are throttled")

    monkeypatch.setattr(store, "get", refuse)
    with pytest.raises(RefusedError, match=r"throttled.*another attempt"):
        desk_of(store).ask(desk_of(store).rules.show)


def test_settings_are_of_merchants_that_there_are() -> None:
    class Deployment:
        def merchants(self) -> Any:
            return self

        def account(self, _merchant_id: str) -> None:
            return None

    deployment: Any = Deployment()
    with pytest.raises(RefusedError, match="shop-9"):
        Desk.of(deployment, "shop-9")
