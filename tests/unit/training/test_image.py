import re
import shlex
from importlib.metadata import version
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]
DOCKERFILE = (REPOSITORY / "training" / "Dockerfile").read_text()


def _instructions(name: str) -> list[str]:
    return re.findall(rf"^{name}\s+(.+)$", DOCKERFILE, flags=re.MULTILINE)


def _pins(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9._-]+)==([^ ;\\]+)", path.read_text(), flags=re.MULTILINE))


def test_everything_that_the_image_copies_exists() -> None:
    sources = [source for line in _instructions("COPY") for source in shlex.split(line)[:-1]]
    assert {"layers/fraud/python/fraud", "training"} <= set(sources)
    assert [source for source in sources if not (REPOSITORY / source).exists()] == []


def test_the_image_installs_the_locked_file_that_it_copies_and_nothing_else() -> None:
    installs = [line for line in _instructions("RUN") if "pip install" in line]
    assert len(installs) == 1
    words = shlex.split(installs[0])
    assert "--require-hashes" in words
    assert words[words.index("--requirement") + 1 :] == ["requirements/training-image.txt"]


def test_only_what_has_no_wheel_is_built() -> None:
    text = (REPOSITORY / "requirements" / "training-image.txt").read_text()
    pinned = re.split(r"^(?=[a-z0-9._-]+==)", text, flags=re.MULTILINE)[1:]
    # A wheel and a source archive make two hashes or more; one is a source archive alone.
    (install,) = [line for line in _instructions("RUN") if "pip install" in line]
    words = shlex.split(install)
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


def test_the_image_runs_the_python_of_the_repository_and_the_program() -> None:
    minor = (REPOSITORY / ".python-version").read_text().strip()
    assert _instructions("FROM")[0].startswith(f"python:{minor}.")
    assert _instructions("ENTRYPOINT") == ['["python", "-m", "training"]']
