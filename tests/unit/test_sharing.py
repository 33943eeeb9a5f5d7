"""Where several processes share the tests, files and costly tiers stay together."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import group_of

FILES = 4
TESTS = 6


@pytest.mark.parametrize(
    ("nodeid", "group"),
    [
        ("tests/unit/test_leaks.py::test_a[1/2]", "unit/test_leaks.py"),
        ("tests/unit/ops/test_status.py::test_a", "unit/ops/test_status.py"),
        ("tests/e2e/test_alarms.py::test_a", "e2e"),
        ("tests/e2e/test_platform.py::test_a", "e2e"),
        ("tests/infra/test_api.py::test_a", "infra"),
        ("tests/e2e/test_drills.py::test_it_holds[poison]", "e2e/test_drills.py"),
    ],
)
def test_what_stays_together(nodeid: str, group: str) -> None:
    assert group_of(nodeid) == group


def test_xdist_shares_out_by_it(tmp_path: Path) -> None:
    """Each process notes which files it had tests of; no file is in two of the notes."""
    told = Path(__file__).parents[1] / "conftest.py"
    (tmp_path / "conftest.py").write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(told.parents[1])!r})\n"
        "from tests.conftest import pytest_xdist_make_scheduler\n"
    )
    unit = tmp_path / "tests" / "unit"
    unit.mkdir(parents=True)
    for number in range(FILES):
        (unit / f"test_{number}.py").write_text(
            "import pathlib, pytest\n"
            f"@pytest.mark.parametrize('n', range({TESTS}))\n"
            "def test_a(n, worker_id):\n"
            f"    with pathlib.Path({str(tmp_path)!r}, worker_id).open('a') as notes:\n"
            "        notes.write(pathlib.Path(__file__).name + chr(10))\n"
        )
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "loadgroup", "--rootdir", str(tmp_path)]
    done = subprocess.run([*command, str(unit)], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    first, second = ((tmp_path / name).read_text().split() for name in ("gw0", "gw1"))
    assert len(first) + len(second) == FILES * TESTS
    assert not set(first) & set(second)
