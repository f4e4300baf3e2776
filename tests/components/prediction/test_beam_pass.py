"""Predictions as records: of files and of records, whatever the bundles; shards whole or not."""

import hashlib
import io
import json
import os

import numpy as np
import pytest
from PIL import Image

from components.dataset import records
from components.dataset.example import Example
from components.errors import ConfigError
from components.prediction import beam_pass
from components.prediction.beam_pass import CLASS_IDS, ERROR, MEAN_CONFIDENCE
from components.storage import tfrecords
from tests.components.prediction.conftest import picture

pytestmark = pytest.mark.slow

RUNNER = "--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner"
THREADS = ("--direct_running_mode=multi_threading", "--direct_num_workers=2")


def predict(looking, asked, to, *, batch=4, options=()) -> dict:
    work = beam_pass.find([str(path) for path in asked], without=str(to))
    return beam_pass.predict(looking, work, str(to), batch=batch, beam_options=[RUNNER, *options])


def results(to) -> dict[str, Example]:
    manifest = json.loads((to / "manifest.json").read_text())
    found = {}
    for name, about in manifest["shards"].items():
        content = (to / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == about["sha256"]
        own = [Example.FromString(one) for one in tfrecords.read(to / name)]
        assert len(own) == about["records"]
        found |= {text(one, records.FILENAME): one for one in own}
    assert sorted(os.listdir(to)) == sorted([*manifest["shards"], "manifest.json"])
    assert manifest["failed"] == sum(bool(text(one, ERROR)) for one in found.values())
    return found


def text(example: Example, key: str) -> str:
    return example.features.feature[key].bytes_list.value[0].decode()


def check(example: Example, content: bytes, model) -> None:
    """A record is what the model says of the picture."""
    (answer,) = model.segment([content])
    feature = example.features.feature
    assert feature[records.LABEL].bytes_list.value[0] == answer.mask
    width, height = Image.open(io.BytesIO(answer.mask)).size
    assert feature[records.WIDTH].int64_list.value == [width]
    assert feature[records.HEIGHT].int64_list.value == [height]
    assert tuple(feature[CLASS_IDS].int64_list.value) == answer.class_ids
    assert feature[MEAN_CONFIDENCE].float_list.value[0] == np.float32(answer.mean_confidence)
    assert text(example, ERROR) == ""


@pytest.fixture
def pictures(tmp_path):
    content = {f"{n:02d}.png": picture(10 + n, 9, seed=n) for n in range(11)}
    content["deep/a.tif"] = picture(5, 6, "TIFF")
    content["deep/bad.jpg"] = b"no picture"
    for name, file in content.items():
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file)
    return tmp_path / "in", content


def test_files_and_an_error_that_fails_no_other(pictures, looking, model, tmp_path):
    folder, content = pictures
    manifest = predict(looking, [folder], tmp_path / "out")
    assert (manifest["pictures"], manifest["failed"]) == (13, 1)
    found = results(tmp_path / "out")
    assert set(found) == set(content)
    for name, example in found.items():
        if name == "deep/bad.jpg":
            assert text(example, ERROR).startswith("expected ")
            assert records.LABEL not in example.features.feature
        elif name.endswith(".png"):
            check(example, content[name], model)


def test_the_bundles_change_no_byte(pictures, looking, tmp_path, monkeypatch):
    monkeypatch.setattr(beam_pass, "_SHARD", 4)
    manifests = [
        predict(looking, [pictures[0]], tmp_path / str(number), options=options)
        for number, options in enumerate([(), THREADS, ()])
    ]
    assert manifests[0] == manifests[1] == manifests[2]
    assert len(manifests[0]["shards"]) == 4


def test_files_of_records(looking, model, tmp_path):
    path = tmp_path / "val-00000-of-00001.tfrecord"
    content = {f"{n}.png": picture(9 + n, 8, seed=n) for n in range(6)}
    with tfrecords.Writer(path) as writer:
        for name, file in content.items():
            example = Example()
            example.features.feature[records.IMAGE].bytes_list.value.append(file)
            example.features.feature[records.FILENAME].bytes_list.value.append(name.encode())
            writer.write(example.SerializeToString())
        writer.write(b"\xff\xff")
        without = Example()
        without.features.feature[records.FILENAME].bytes_list.value.append(b"nothing")
        writer.write(without.SerializeToString())
    path.write_bytes(path.read_bytes() + b"cut")
    manifest = predict(looking, [path], tmp_path / "out", batch=4)
    assert (manifest["pictures"], manifest["failed"]) == (9, 3)
    found = results(tmp_path / "out")
    for name, file in content.items():
        check(found[name], file, model)
    assert "truncated record" in text(found[str(path)], ERROR)


def test_a_second_command_replaces_the_first(pictures, looking, tmp_path):
    folder, _ = pictures
    predict(looking, [folder], tmp_path / "out")
    (tmp_path / "out" / "predictions-00099-00000.tfrecord").write_bytes(b"left behind")
    (tmp_path / "out" / "unfinished-ab").write_bytes(b"of an attempt")
    predict(looking, [folder / "00.png"], tmp_path / "out")
    assert set(results(tmp_path / "out")) == {"00.png"}


def test_what_is_no_folder_of_predictions_stays(pictures, looking, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "manifest.json").write_text('{"source": "ab", "splits": {}}')
    before = sorted(os.listdir(tmp_path / "data"))
    with pytest.raises(ConfigError, match="or one of predictions to replace"):
        predict(looking, [pictures[0]], tmp_path / "data")
    assert sorted(os.listdir(tmp_path / "data")) == before


def test_without_anything_to_predict(looking, tmp_path):
    for asked in (tmp_path, tmp_path / "gone"):
        with pytest.raises(ConfigError, match="expected pictures or records in"):
            predict(looking, [asked], tmp_path / "out")
