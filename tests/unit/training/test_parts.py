"""The dataset on disk: several files for several machines, and read back as it was."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.unit.training.test_checks import NAMES, ROWS, _cuts, _rows
from training.contract import ProgramError
from training.parts import part_files, read_description, read_file, read_part
from training.rows import write_dataset


@pytest.mark.parametrize(("rows_a_file", "files"), [(500_000, 1), (200, 4), (650, 1), (649, 2)])
def test_the_train_part_is_cut_into_files_in_the_order_of_time(
    tmp_path: Path, rows_a_file: int, files: int
) -> None:
    rows = replace(_rows(), cards=[f"card-{number % 7}" for number in range(ROWS)])
    write_dataset(tmp_path, rows, _cuts(rows), feature_set="s", about={}, rows_a_file=rows_a_file)
    found = part_files(tmp_path / "train")
    assert [path.name for path in found] == [f"part-{number:05d}.parquet" for number in range(files)]
    whole = read_part(tmp_path / "train", NAMES)
    np.testing.assert_array_equal(whole.times, rows.times[:650])
    np.testing.assert_array_equal(whole.vectors, rows.vectors[:650])
    np.testing.assert_array_equal(whole.cards, np.arange(650) % 7)
    assert whole.merchants.tolist() == ["shop"] * 650
    pieces = [read_file(path, NAMES) for path in found]
    np.testing.assert_array_equal(np.concatenate([each.labels for each in pieces]), whole.labels)
    assert max(len(each.labels) for each in pieces) <= rows_a_file
    assert len(part_files(tmp_path / "validation")) == 1


def test_the_number_of_files_is_not_part_of_what_the_dataset_is(tmp_path: Path) -> None:
    rows = _rows()
    for name, most in (("one", 10_000), ("many", 50)):
        write_dataset(tmp_path / name, rows, _cuts(rows), feature_set="s", about={"as_of": 1}, rows_a_file=most)
    one, many = (read_description(tmp_path / name / "about") for name in ("one", "many"))
    assert one == many


def test_a_part_without_files_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match=r"no part-\*.parquet in .*; give this job the output of the dataset"):
        read_part(tmp_path, NAMES)
