"""The image, as far as that can be said without building it."""

import os
import re
import shlex
import shutil
import site
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import distributions, version
from pathlib import Path

import pytest

from infra.constructs.training_image import image_context
from tests.unit.training.jobs import stage_training
from tests.unit.training.learnable import rows, write
from training.contract import Contract
from training.entry import USER
from training.entry import main as enter

REPOSITORY = Path(__file__).parents[3]
DOCKERFILE_PATH = REPOSITORY / "training" / "Dockerfile"
DOCKERFILE = DOCKERFILE_PATH.read_text()


def _instructions(name: str) -> list[str]:
    whole = DOCKERFILE.replace("\\\n", " ")
    return re.findall(rf"^{name}\s+(.+)$", whole, flags=re.MULTILINE)


def _copied() -> list[tuple[str, str]]:
    """What comes from the repository, and where it goes."""
    lines = [shlex.split(line) for line in _instructions("COPY") if not line.startswith("--from=")]
    return [(source, line[-1]) for line in lines for source in line[:-1]]


def _install() -> list[str]:
    """The words of the one command that installs."""
    commands = [part for line in _instructions("RUN") for part in line.split("&&")]
    (install,) = [command for command in commands if "pip" in command and "install" in command]
    return shlex.split(install)


def _pins(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9._-]+)==([^ ;\\]+)", path.read_text(), flags=re.MULTILINE))


def test_everything_that_the_image_copies_exists() -> None:
    sources = [source for source, _ in _copied()]
    assert {"layers/fraud/python/fraud", "training"} <= set(sources)
    assert [source for source in sources if not (REPOSITORY / source).exists()] == []


def test_the_image_installs_the_locked_file_that_it_copies_and_nothing_else() -> None:
    words = _install()
    assert "--require-hashes" in words
    assert words[words.index("--requirement") + 1 :] == ["requirements/training-image.txt"]


def test_only_what_has_no_wheel_is_built() -> None:
    text = (REPOSITORY / "requirements" / "training-image.txt").read_text()
    pinned = re.split(r"^(?=[a-z0-9._-]+==)", text, flags=re.MULTILINE)[1:]
    # A wheel and a source archive make two hashes or more; one is a source archive alone.
    words = _install()
    assert words[words.index("--only-binary") + 1] == ":all:"
    assert words[words.index("--no-binary") + 1] == "pyspark"
    assert [entry.split("==")[0] for entry in pinned if entry.count("--hash=sha256:") == 1] == ["pyspark"]


def test_the_image_has_the_java_that_spark_needs_and_a_place_for_compiled_code() -> None:
    (java,) = re.findall(r"openjdk-(\d+)-jre-headless", DOCKERFILE)
    assert int(java) >= 17
    (cache,) = re.findall(r"NUMBA_CACHE_DIR=(\S+)", DOCKERFILE)
    # The program's folder is of the image; a folder below /tmp is there and writable on every host.
    assert Path(cache).parts[:2] == ("/", "tmp")


def test_every_pin_of_the_image_has_a_hash() -> None:
    text = (REPOSITORY / "requirements" / "training-image.txt").read_text()
    pinned = re.split(r"^(?=[a-z0-9._-]+==)", text, flags=re.MULTILINE)[1:]
    assert len(pinned) > 5
    assert [entry.splitlines()[0] for entry in pinned if "--hash=sha256:" not in entry] == []


def test_training_and_serving_have_the_same_version_of_xgboost() -> None:
    image = _pins(REPOSITORY / "requirements" / "training-image.txt")
    development = _pins(REPOSITORY / "requirements" / "development.txt")
    assert image["xgboost"] == development["xgboost-cpu"] == version("xgboost-cpu")
    assert "xgboost-cpu" not in image


def test_what_both_environments_hold_is_of_one_version() -> None:
    image = _pins(REPOSITORY / "requirements" / "training-image.txt")
    development = _pins(REPOSITORY / "requirements" / "development.txt")
    shared = image.keys() & development.keys()
    assert {"numpy", "pyarrow", "msgspec", "scikit-learn"} <= shared
    assert {name: image[name] for name in shared} == {name: development[name] for name in shared}


def test_what_is_installed_here_is_what_the_image_installs() -> None:
    image = _pins(REPOSITORY / "requirements" / "training-image.txt")
    installed = {each.name.lower().replace("_", "-"): each.version for each in distributions()}
    shared = image.keys() & installed.keys()
    assert {"numpy", "pyarrow", "pyspark", "numba", "msgspec", "scikit-learn"} <= shared
    assert {name: image[name] for name in shared} == {name: installed[name] for name in shared}


def test_the_image_runs_the_python_of_the_repository_and_the_entry() -> None:
    minor = (REPOSITORY / ".python-version").read_text().strip()
    first, *stages = _instructions("FROM")
    assert first.startswith(f"python:{minor}.")
    assert [stage.split()[0] for stage in stages] == ["base", "base"]
    assert _instructions("ENTRYPOINT") == ['["python", "-m", "training.entry"]']


def test_the_linter_has_nothing_to_say() -> None:
    linter = Path(sys.executable).with_name("hadolint")
    assert linter.is_file(), "the development requirements bring it; run make setup"
    done = subprocess.run([linter, "--no-color", DOCKERFILE_PATH], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_asset_holds_what_is_copied_and_nothing_else(tmp_path: Path) -> None:
    for source, _ in _copied():
        origin, target = REPOSITORY / source, tmp_path / source
        target.parent.mkdir(parents=True, exist_ok=True)
        if origin.is_dir():
            shutil.copytree(origin, target, ignore=shutil.ignore_patterns("__pycache__", "py.typed"))
        else:
            shutil.copyfile(origin, target)
    wanted = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    # What lies around in a working copy, and must not change the image's name.
    for noise in ("training/__pycache__/train.pyc", "training/.cache/x", "README.md", "tests/test_x.py"):
        (tmp_path / noise).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / noise).write_text("noise")
    context = image_context(root=tmp_path)
    found = {path.relative_to(context) for path in context.rglob("*") if path.is_file()}
    assert Path("training/Dockerfile") in wanted
    assert found == wanted


def test_the_user_of_the_image_is_the_one_that_the_entry_becomes() -> None:
    (made,) = re.findall(r"useradd .*--uid (\d+) --user-group", DOCKERFILE)
    assert int(made) == USER
    assert _instructions("USER") == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can hand folders over and become another user")
def test_the_entry_trains_without_rights_in_a_tree_as_the_image_has_it(open_folder: Path) -> None:
    program = open_folder / "program"
    for source, target in _copied():
        if (REPOSITORY / source).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(REPOSITORY / source, program / target, ignore=ignored)
    dataset = write(open_folder / "dataset", rows(1_200))
    root = stage_training(open_folder / "ml", dataset, {"run_id": "run-1", "rounds": "3", "nthread": "1"})
    # As SageMaker hands them to a machine: all of root's, and a checkpoint of another training.
    for name in ("model", "output", "checkpoints"):
        (root / name).mkdir(mode=0o755)
    kept = root / "checkpoints" / "a-000003.checkpoint"
    kept.write_bytes(b"torn")
    (root / "input" / "config" / "hyperparameters.json").chmod(0o600)
    done = subprocess.run(
        [_interpreter(open_folder), "-W", "error", "-m", "training.entry", "train"],
        env={
            "ML_ROOT": str(root),
            "PATH": os.defpath,
            "HOME": str(open_folder),
            "LD_LIBRARY_PATH": str(open_folder / "python" / "lib"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONHOME": str(open_folder / "python"),
            "PYTHONPATH": os.pathsep.join(
                [str(_without_tests(open_folder)), str(program), *map(str, site.getsitepackages())]
            ),
        },
        cwd=program,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "is torn or damaged" in done.stderr
    owners = {path.name: (path.stat().st_uid, path.stat().st_gid) for path in (root / "model").iterdir()}
    assert owners == dict.fromkeys(("model.ubj", "manifest.json"), (USER, USER))
    assert (kept.stat().st_uid, (root / "input").stat().st_uid) == (USER, 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can hand folders over and become another user")
def test_an_entry_that_may_not_hand_over_says_so_and_does_not_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_user: int) -> None:
        raise PermissionError("not permitted")

    monkeypatch.setattr("training.entry.become", refuse)
    assert enter(["train"], Contract(tmp_path)) == 1
    assert "does not run as root" in (tmp_path / "output" / "failure").read_text()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="paywarden-image-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def _interpreter(folder: Path) -> Path:
    """A copy of this Python, without its packages: the original may lie where only its owner may enter."""
    home, library = Path(sys.base_prefix), Path("lib") / f"python{sys.version_info.major}.{sys.version_info.minor}"
    ignored = shutil.ignore_patterns(
        "site-packages", "test", "idlelib", "tkinter", "ensurepip", "__pycache__", "*.a"
    )
    shutil.copytree(home / library, folder / "python" / library, ignore=ignored)
    for path in (home / "lib").glob("libpython*"):
        shutil.copy2(path, folder / "python" / "lib")
    target = folder / "python" / "bin" / "python"
    target.parent.mkdir()
    shutil.copy2(Path(sys.executable).resolve(), target)
    return target


def _without_tests(folder: Path) -> Path:
    """A folder for the path of modules that refuses what the image leaves out."""
    (folder / "refusing").mkdir()
    (folder / "refusing" / "sitecustomize.py").write_text(REFUSING)
    return folder / "refusing"


REFUSING = """
import sys

class Refusing:
    def find_spec(self, name, path=None, target=None):
        if "tests" in name.split("."):
            raise ImportError(f"{name} is left out of the image")

sys.meta_path.insert(0, Refusing())
"""
