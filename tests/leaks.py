"""Looks at all that is logged or printed during a run of the tests, and fails the run if a planted value is in it.

Every record of every logger is seen twice: as it was logged, before anything is taken out of it, and as it was
written. What functions print, and what command lines told, is seen in what pytest captured.
"""

import functools
import logging
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from tests.planted import found_in

__all__ = ["Leaks"]

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__)


class Leaks:
    """A plugin of pytest's.

    Attributes
    ----------
    found : dict of (str, str) to int
        What leaked and where, and how often; never the value.
    """

    def __init__(self) -> None:
        self.found: dict[tuple[str, str], int] = {}
        self._test = "the start of the run"
        self._undo: list[Callable[[], None]] = []

    def look(self, text: str, place: str) -> None:
        """Look at something that was written."""
        for name in found_in(text):
            where = name, f"{place}, in {self._test}"
            self.found[where] = self.found.get(where, 0) + 1

    def pytest_sessionstart(self) -> None:
        self._watch(logging.Logger, "handle", self._logged)
        self._watch(logging.Handler, "format", self._written)
        self._watch(pytest.CaptureFixture, "readouterr", self._read)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._test = nodeid

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.passed:  # a failed one shows its own code and values, and fails the run anyway
            for title, text in report.sections:
                self.look(text, title.lower())

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take over what a process of a run in several has found."""
        for name, place, times in getattr(node, "workeroutput", {}).get("leaks", ()):
            self.found[name, place] = self.found.get((name, place), 0) + times

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        for undo in self._undo:
            undo()
        told = getattr(session.config, "workeroutput", None)
        if told is not None:
            told["leaks"] = [[*where, times] for where, times in self.found.items()]
        if self.found:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self.found:
            terminalreporter.section("planted values were written", red=True, bold=True)
            for (name, place), times in sorted(self.found.items()):
                terminalreporter.write_line(f"{name}: {place} ({times} times)")

    def _watch(self, owner: type, name: str, seen: Callable[[Any, Any, Any], None]) -> None:
        """See what a method is called with and what it returns."""
        method = getattr(owner, name)

        @functools.wraps(method)
        def watched(self: Any, *arguments: Any) -> Any:
            result = method(self, *arguments)
            seen(self, arguments, result)
            return result

        setattr(owner, name, watched)
        self._undo.append(lambda: setattr(owner, name, method))

    def _logged(self, _logger: logging.Logger, arguments: tuple[logging.LogRecord], _result: None) -> None:
        [record] = arguments
        told = [record.getMessage()]
        told += [repr(value) for name, value in record.__dict__.items() if name not in _STANDARD]
        if record.exc_info and record.exc_info[1] is not None:
            told += traceback.format_exception(record.exc_info[1])
        self.look("\n".join(told), f"{record.pathname}:{record.lineno}")

    def _written(self, handler: logging.Handler, arguments: tuple[logging.LogRecord], result: str) -> None:
        [record] = arguments
        self.look(result, f"{type(handler).__name__} of {record.name}")

    def _read(self, _fixture: Any, _arguments: tuple[()], result: Any) -> None:
        self.look(f"{result.out}\n{result.err}", "captured output")
