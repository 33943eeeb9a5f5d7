"""A run of tests fails if a planted value was logged or printed, and says where without repeating it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.planted import CARD_NUMBER, CUSTOMER, EMAIL, KEY, PHONE, found_in, plant

ROOT = Path(__file__).resolve().parents[2]
CONFTEST = """
import pytest
from tests.leaks import Leaks

def pytest_configure(config):
    config.pluginmanager.register(Leaks(), "leaks")
"""
HEAD = """
import logging
import sys
from tests.planted import *
from runtime.telemetry import logger
"""


def run(folder: Path, test: str, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_one.py").write_text(HEAD + test)
    flags = ("-q", "-p", "no:cacheprovider", "--rootdir", folder, *options)
    command = [sys.executable, "-m", "pytest", *flags, folder]
    environment = {"PYTHONPATH": str(ROOT), "POWERTOOLS_SERVICE_NAME": "tests"}
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=environment)


def test_a_run_in_which_something_leaked_fails_and_names_the_places(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        """
def test_logged():
    logger.info("paid by %s", EMAIL)  # taken out before it is written, and told all the same

def test_extra():
    logging.getLogger("ours").warning("refused", extra={"asked": {"customer": [CUSTOMER]}})

def test_exception():
    try:
        raise ValueError(CARD_NUMBER)
    except ValueError:
        logger.exception("failed")

def test_printed():
    print(" ".join(CARD_NUMBER))

def test_to_standard_error(capsys):
    sys.stderr.write(PHONE)
    capsys.readouterr()
""",
    )
    assert "5 passed" in done.stdout
    assert done.returncode == 1
    told = [
        "email: {folder}/test_one.py:8, in test_one.py::test_logged",
        "customer: {folder}/test_one.py:11, in test_one.py::test_extra",
        "card number: {folder}/test_one.py:17, in test_one.py::test_exception",
        "card number: captured stdout call, in test_one.py::test_printed",
        "telephone number: captured output, in test_one.py::test_to_standard_error",
    ]
    for line in told:
        assert line.format(folder=tmp_path) in done.stdout
    for value in (EMAIL, CUSTOMER, CARD_NUMBER, PHONE):
        assert value not in done.stdout.replace(" ", "")


def test_what_leaked_in_one_of_several_processes_fails_the_whole_run(tmp_path: Path) -> None:
    done = run(tmp_path, "def test_logged():\n    logger.info('paid by %s', EMAIL)\n", "-n", "2")
    assert done.returncode == 1
    assert f"email: {tmp_path}/test_one.py:7, in test_one.py::test_logged" in done.stdout


def test_a_run_in_which_nothing_leaked_passes(tmp_path: Path) -> None:
    done = run(tmp_path, "def test_quiet():\n    logger.info('decided', extra={'action': 'approve'})\n")
    assert done.returncode == 0, done.stdout
    assert "planted" not in done.stdout


def test_planted_values_are_found_in_capitals_and_card_numbers_however_spaced() -> None:
    assert found_in(f"<{EMAIL.upper()}>") == ["email"]
    assert found_in("-".join(CARD_NUMBER)) == ["card number"]
    assert found_in(f"Bearer {KEY}") == ["merchant key"]
    assert found_in("decided") == []


def test_what_is_made_during_a_run_can_be_planted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.planted._planted", {})
    plant("a key", "made-just-now")
    assert found_in("it was made-just-now") == ["a key"]
