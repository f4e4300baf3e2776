"""What people met becomes the right record, or is refused where it enters."""

import dataclasses
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import schemas
from components.data_gate.checks import check_record
from components.dataset import records
from components.dataset import source as prepare
from components.dataset.building import conversion
from components.dataset.building.layout import find_layout
from components.dataset.examination.examine import examine_record
from components.dataset.examination.findings import DUPLICATE, Finding
from components.dataset.example import Example
from components.errors import DataError
from tests.components.dataset.building import corpus
from tests.corpus import folder_cases, mask_cases, other_cases, table

pytestmark = pytest.mark.slow


def cases(*tables):
    return pytest.mark.parametrize("case", [pytest.param(c, id=c.name) for t in tables for c in t])


def made(case, folder: Path) -> Path:
    corpus.write_good(folder, case.layout)
    case.make(folder)
    return folder


def convert(root: Path, layout: str, output: Path, on_error: str = "fail") -> dict:
    """Builds the data set at `root`."""
    found = find_layout(corpus.dataset(layout), root)
    return conversion.convert(
        found, ("train", "val"), output, source="x", shards=1, on_error=on_error
    )


def built(output: Path, split: str) -> dict[str, bytes]:
    """The serialized records of a split by name."""
    examples = records.read_examples(records.record_files(output, f"{split}-*"))
    return {
        example.features.feature[records.FILENAME].bytes_list.value[0].decode(): (
            example.SerializeToString()
        )
        for example in examples
    }


@cases(table.GOOD_PICTURES, mask_cases.MASKS, folder_cases.FOLDERS)
def test_what_is_odd_becomes_the_right_record_and_the_gate_lets_it_pass(case, tmp_path):
    manifest = convert(made(case, tmp_path / "data"), case.layout, tmp_path / "out")
    assert manifest["splits"]["train"]["left_out"] == {}
    serialized = built(tmp_path / "out", "train")[
        case.filename + {"jpeg": ".jpg", "png": ".png"}[case.format]
    ]
    examined = examine_record(Example.FromString(serialized), 3, corpus.IGNORE)
    np.testing.assert_allclose(examined.image_HW3, case.image_HW3, rtol=0, atol=case.tolerance)
    np.testing.assert_array_equal(examined.label_HW, case.label_HW)
    assert check_record(serialized, "train", 3, corpus.IGNORE).findings == []


@cases(table.BAD_PICTURES, mask_cases.BAD_MASKS, folder_cases.BAD_FOLDERS)
def test_what_is_bad_is_named_with_its_cause_and_the_way_out(case, tmp_path):
    root = made(case, tmp_path / "data")
    with pytest.raises(DataError, match="to fix, ") as caught:
        convert(root, case.layout, tmp_path / "out")
    found = json.loads((tmp_path / "out.findings.json").read_text())["findings"]
    (finding,) = (one for one in found if one["filename"] == case.filename)
    assert (finding["split"], finding["cause"]) == (case.split, case.cause)
    assert re.search(case.detail, finding["detail"])
    assert f"{case.filename}: {case.cause}, " in str(caught.value)


@cases(table.BAD_PICTURES, mask_cases.BAD_MASKS)
def test_what_is_bad_can_be_left_out(case, tmp_path):
    root = made(case, tmp_path / "data")
    manifest = convert(root, case.layout, tmp_path / "out", on_error="skip")
    assert case.cause != DUPLICATE
    assert manifest["splits"]["train"]["left_out"] == {case.cause: 1}
    assert sorted(built(tmp_path / "out", "train")) == ["good.jpg", "other.jpg"]


@cases(folder_cases.NO_FOLDERS)
def test_masks_that_cannot_be_learned_from_are_refused(case, tmp_path):
    root = made(case, tmp_path / "data")
    for on_error in ("fail", "skip"):
        with pytest.raises(DataError, match=case.message):
            convert(root, case.layout, tmp_path / "out", on_error)


@cases(folder_cases.SAID)
def test_what_will_stop_a_run_is_said_by_the_build(case, tmp_path):
    corpus.write_good(tmp_path / "data", "folders")
    case.make(tmp_path / "data")
    manifest = convert(tmp_path / "data", "folders", tmp_path / "out")
    said = dataclasses.asdict(Finding(case.split, case.filename, case.cause, case.detail))
    assert said in manifest["gate"]["findings"]


@cases(other_cases.DESCRIPTIONS)
def test_a_description_beyond_the_format_is_refused_at_the_door(case, tmp_path):
    folder = tmp_path / "own"
    shutil.copytree(schemas.schema_dir("sample"), folder)
    listed = "".join(
        f'  {{ id = {number}, color = "{color}", name = "{name}" }},\n'
        for number, (name, color) in enumerate(case.classes)
    )
    (folder / "dataset.toml").write_text(
        f'title = "Own"\nlicence = "Ours."\nignore_label = 0\nclasses = [\n{listed}]\n'
        '[source]\nmasks = "colors"\n'
        '[source.splits.train]\nimages = "images/*"\nmasks = "masks/*.png"\n'
        '[source.splits.val]\nimages = "images/*"\nmasks = "masks/*.png"\n'
    )
    with pytest.raises(schemas.DatasetError, match=f"(?s){case.message}.*to fix, "):
        schemas.load("own", [tmp_path])


@cases(other_cases.RECORDS)
def test_records_that_cannot_be_read_are_refused_at_the_door(case, tmp_path):
    corpus.write_good(tmp_path / "data", "folders")
    convert(tmp_path / "data", "folders", tmp_path / "out")
    case.damage(tmp_path / "out")
    with pytest.raises(DataError, match=case.message) as caught:
        prepare.find_records(
            corpus.dataset("folders"),
            str(tmp_path / "out"),
            tmp_path / "output",
            patterns={"train": "train-*", "val": "val-*"},
            limits={"train": 0, "val": 0},
        ).ready()
    assert "; to fix, " in str(caught.value)
