"""What is written: whole lines under several processes, past rotation and full disks."""

import json
import subprocess
import sys

import numpy as np
import pytest
from absl import logging

from components.dataset.decoding.image import decode_image
from components.dataset.examination.measures import NOTHING, measure
from components.dataset.limits import DEFAULT
from components.errors import AnswerError, ConfigError
from components.observation import reading
from components.observation.request_log import NO_ANSWER, RequestLog
from components.serving.client import Client
from tests.components.observation.pictures import line, mask_of, pictures
from tests.conftest import REPOSITORY


def lines_of(path) -> list[dict]:
    return [json.loads(text) for text in path.read_text().splitlines()]


def masked(files: list[bytes]) -> dict:
    masks = [mask_of(3, 2, label % 5) for label in range(len(files))]
    return {"mask_bytes": masks, "error": [b""] * len(files)}


@pytest.mark.parametrize("seed", range(3))
def test_sizes_and_brightness_are_those_of_the_gate(tmp_path, seed):
    files, path = pictures(seed, 40), tmp_path / "log"
    with RequestLog(path) as log:
        log.add("deeplab", None, 3, 0.1, files, masked(files))
    sums = reading.read([str(path)], "deeplab").total.measures()
    gate = NOTHING
    for file in files:
        pixels = np.asarray(decode_image(file, DEFAULT).pixels)
        gate += measure(pixels, np.zeros(pixels.shape[:2], np.uint8))
    np.testing.assert_array_equal(sums.sizes, gate.sizes)
    np.testing.assert_array_equal(sums.brightness, gate.brightness)
    assert sums.records == gate.records == 40 and sums.pixels_256[:6].tolist() == [48] * 5 + [0]


def test_a_line_has_the_fields_of_the_schema_and_nothing_else(tmp_path):
    path, (file,) = tmp_path / "log", pictures(1, 1)
    outputs = {**masked([file]), "mean_confidence": np.array([0.25], np.float32), "other": 3}
    with RequestLog(path) as log:
        log.add("deeplab", "stable", 9, 0.5, [file], outputs)
        log.add("deeplab", 4, None, 0.5, [file], None)
    answered, refused = lines_of(path)
    assert answered.keys() == refused.keys() == line().keys()
    assert answered["class_pixels"] == {"0": 6} and answered["confidence"] == 0.25
    assert (answered["asked"], answered["version"], answered["error"]) == ("stable", 9, "")
    assert refused["error"] == NO_ANSWER and refused["class_pixels"] is None
    assert refused["width"] == answered["width"]


def test_a_request_that_meets_no_server_is_logged(tmp_path):
    path = tmp_path / "log"
    with RequestLog(path) as log, pytest.raises(AnswerError):
        Client("http://localhost:1", "m", version="new", attempts=1, log=log).segment([b"a", b"b"])
    found = [(one["model"], one["asked"], one["error"]) for one in lines_of(path)]
    assert found == [("m", "new", NO_ANSWER)] * 2


def test_what_is_no_picture_is_logged_without_measures(tmp_path):
    path = tmp_path / "log"
    files = [b"", b"no picture", *pictures(2, 1)]
    outputs = {"mask_bytes": [b"", b"\x89PNG", mask_of(1, 1)], "error": [b"bad", b"bad", b""]}
    with RequestLog(path) as log:
        log.add("deeplab", None, 1, 0.1, files, outputs)
    found = lines_of(path)
    assert [one["error"] for one in found] == ["bad", "bad", ""]
    assert [one["width"] is None for one in found] == [True, True, False]
    assert [one["class_pixels"] is None for one in found] == [True, True, False]


@pytest.mark.slow
def test_several_processes_mix_no_lines(tmp_path):
    path = tmp_path / "log"
    code = f"""
from components.observation.request_log import RequestLog
with RequestLog({str(path)!r}) as log:
    for _ in range(50):
        log.add("m" * 3000, None, 1, 0.1, [b"x"] * 5, None)
"""
    writers = [subprocess.Popen([sys.executable, "-c", code], cwd=REPOSITORY) for _ in range(2)]
    assert [writer.wait() for writer in writers] == [0, 0]
    found = lines_of(path)
    assert len(found) == 500 and {len(one["model"]) for one in found} == {3000}


def test_a_log_that_was_renamed_is_followed_by_a_new_one(tmp_path):
    path = tmp_path / "log"
    with RequestLog(path) as log:
        log.add("m", None, 1, 0.1, [b"x"], None)
        log._worker.submit(path.rename, tmp_path / "log.1").result()
        log.add("m", None, 2, 0.1, [b"x"], None)
    assert [one["version"] for one in lines_of(tmp_path / "log.1") + lines_of(path)] == [1, 2]


def test_a_full_disk_fails_nothing_and_is_said_once(caplog):
    logging.use_absl_handler()
    with caplog.at_level("ERROR", "absl"), RequestLog("/dev/full") as log:
        for _ in range(5):
            log.add("m", None, 1, 0.1, [b"x", b"y"], None)
    assert log.lost == 10
    (said,) = [one.getMessage() for one in caplog.records]
    assert "not logged to /dev/full: No space left on device" in said


@pytest.mark.slow
def test_a_line_that_a_full_disk_cut_off_spoils_no_other(tmp_path):
    path = tmp_path / "log"
    code = f"""
import resource
from components.observation.request_log import RequestLog
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
with RequestLog({str(path)!r}) as log:
    for limit in 1000, soft:
        log._worker.submit(resource.setrlimit, resource.RLIMIT_FSIZE, (limit, hard))
        for _ in range(10):
            log.add("deeplab", None, 1, 0.1, [b"x"], None)
    log._worker.submit(lambda: None).result()
    print(log.lost)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, check=True, stdout=subprocess.PIPE
    )
    found = reading.read([str(path)], "deeplab")
    assert found.broken == 1 and found.total.pictures == 20 - int(done.stdout) > 10


def test_after_its_end_requests_are_lost_and_do_not_fail(tmp_path):
    log = RequestLog(tmp_path / "log")
    log.close()
    for _ in range(100):
        log.add("m", None, 1, 0.1, [b"x"], None)
    assert log.lost == 100 and not (tmp_path / "log").read_bytes()


def test_a_share_of_the_requests(tmp_path):
    path = tmp_path / "log"
    with RequestLog(path, share=0.25) as log:
        for _ in range(2000):
            log.add("m", None, 1, 0.1, [b"x"], None)
    # Six standard deviations around the mean.
    assert 384 < len(lines_of(path)) < 616


@pytest.mark.parametrize("share", [0, -1, 1.01, float("nan")])
def test_a_share_that_is_none_is_refused(tmp_path, share):
    with pytest.raises(ConfigError, match=r"expected a share of the requests above 0.*to fix"):
        RequestLog(tmp_path / "log", share=share)
    assert not (tmp_path / "log").exists()


@pytest.mark.parametrize("name", ["", "nowhere/log", "."])
def test_a_log_that_cannot_be_written_is_refused(tmp_path, name):
    with pytest.raises(ConfigError, match=r"expected to write a log of requests to .*to fix"):
        RequestLog(f"{tmp_path}/{name}")
