"""From an address to records: a server that fails in real ways, and a second run that mends it."""

import dataclasses
import hashlib
import io
import tarfile
import tempfile
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
import scipy.io
import tensorflow as tf
from PIL import Image
from rich.console import Console

import schemas
from components.dataset import records
from components.dataset.building import build
from components.errors import ConfigError, DataError, DownloadFailedError, exit_codes
from components.storage import downloads
from tests.components.dataset.building.corpus_folders import unprivileged
from tests.file_server import Remote

SIZE = (24, 16)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(downloads, "_PAUSE", 0.0)


def picture(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (*SIZE[::-1], 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG")
    return file.getvalue()


def mask(label: int) -> bytes:
    ids = np.zeros(SIZE[::-1], np.uint8)
    ids[2:9, 3:9], ids[0] = label, 255
    image = Image.fromarray(ids)
    image.putpalette(list(range(256)) * 3)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def sbd_mask(label: int) -> bytes:
    ids = np.zeros(SIZE[::-1], np.uint8)
    ids[5:, 5:] = label
    file = io.BytesIO()
    scipy.io.savemat(file, {"GTcls": {"Segmentation": ids}})
    return file.getvalue()


VOC = {
    "VOCdevkit/VOC2012/ImageSets/Segmentation/train.txt": b"a\nb\n",
    "VOCdevkit/VOC2012/ImageSets/Segmentation/val.txt": b"c\n",
    "VOCdevkit/VOC2012/ImageSets/Segmentation/trainval.txt": b"a\nb\nc\n",
    **{f"VOCdevkit/VOC2012/JPEGImages/{n}.jpg": picture(i) for i, n in enumerate("abcde")},
    **{f"VOCdevkit/VOC2012/SegmentationClass/{n}.png": mask(i + 1) for i, n in enumerate("abc")},
}
SBD = {
    # b has a mask of VOC, c belongs to VOC's val, d and e are new.
    "benchmark_RELEASE/dataset/train.txt": b"b\nd\n",
    "benchmark_RELEASE/dataset/val.txt": b"c\ne\n",
    **{f"benchmark_RELEASE/dataset/cls/{n}.mat": sbd_mask(9) for n in "bcde"},
}


def tar(files: dict[str, bytes], mode: str = "w") -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


VOC_TAR, SBD_TAR = tar(VOC), tar(SBD, "w:gz")


def pascal(*archives: tuple[list[str], bytes, tuple[str, ...]]) -> schemas.Dataset:
    """PASCAL VOC as shipped, but for where its archives are and what is right in them."""
    shipped = schemas.load("pascal")
    described = tuple(
        schemas.Archive(
            urls=tuple(urls),
            checksums=MappingProxyType({"sha256": hashlib.sha256(content).hexdigest()}),
            bytes=len(content),
            unpacked_bytes=100_000,
            splits=splits,
        )
        for urls, content, splits in archives
    )
    return dataclasses.replace(
        shipped, source=dataclasses.replace(shipped.source, archives=described)
    )


@pytest.fixture
def run(tmp_path):
    def go(dataset, splits=("train", "val"), **options):
        arguments = {"source": None, "downloads": tmp_path / "downloads", **options}
        return build.build(dataset, splits, tmp_path / "records", **arguments)

    return go


def names(folder, split: str) -> list[str]:
    files = records.record_files(folder, f"{split}-*")
    features = [example.features.feature for example in records.read_examples(files)]
    return sorted(each[records.FILENAME].bytes_list.value[0].decode() for each in features)


def label_of(folder, split: str, name: str) -> np.ndarray:
    for example in records.read_examples(records.record_files(folder, f"{split}-*")):
        feature = example.features.feature
        if feature[records.FILENAME].bytes_list.value[0].decode() == name:
            return tf.io.decode_png(feature[records.LABEL].bytes_list.value[0]).numpy()[..., 0]
    raise KeyError(name)


def test_archive_becomes_records_and_is_fetched_once(serve, run, tmp_path):
    remote = Remote(VOC_TAR)
    dataset = pascal((serve(voc=remote), VOC_TAR, ()))
    manifest = run(dataset)
    assert names(tmp_path / "records", "train") == ["a.jpg", "b.jpg"]
    assert names(tmp_path / "records", "val") == ["c.jpg"]
    described = manifest["splits"]["train"]
    assert described["records"] == 2 and described["sizes"] == {"24x16": 2}
    assert described["class_pixels"]["aeroplane"] == described["class_pixels"]["bicycle"] == 42
    assert described["ignored_pixels"] == 2 * 24
    assert run(dataset) == manifest
    assert len(remote.asked) == 1


def test_train_aug_adds_the_masks_of_sbd_and_leaves_out_val(serve, run, tmp_path):
    voc, sbd = serve(voc=Remote(VOC_TAR)), serve(sbd=Remote(SBD_TAR))
    dataset = pascal((voc, VOC_TAR, ()), (sbd, SBD_TAR, ("train_aug",)))
    run(dataset, ["train_aug", "val"])
    folder = tmp_path / "records"
    assert names(folder, "train_aug") == ["a.jpg", "b.jpg", "d.jpg", "e.jpg"]
    assert names(folder, "val") == ["c.jpg"]
    assert set(np.unique(label_of(folder, "train_aug", "b.jpg"))) == {0, 2, 255}
    assert (label_of(folder, "train_aug", "d.jpg") == 9).sum() == 11 * 19


def test_sbd_is_fetched_only_where_it_is_needed(serve, run):
    sbd = Remote(SBD_TAR)
    voc = serve(voc=Remote(VOC_TAR))
    run(pascal((voc, VOC_TAR, ()), (serve(sbd=sbd), SBD_TAR, ("train_aug",))))
    assert sbd.asked == []


CUT = VOC_TAR[: len(VOC_TAR) // 2]
EVIL = tar({**VOC, "../outside.txt": b"!"})


@pytest.mark.parametrize(
    ("remote", "published", "message"),
    [
        (lambda: Remote(VOC_TAR, breaks=[5000] * 9, ranges=False), VOC_TAR, "voc"),
        (lambda: Remote(VOC_TAR, statuses=[404]), VOC_TAR, "404"),
        (lambda: Remote(bytes(len(VOC_TAR))), VOC_TAR, "sha256"),
        (lambda: Remote(CUT), CUT, "expected"),
        (lambda: Remote(EVIL), EVIL, r"\.\./outside"),
    ],
    ids=["breaks off", "not found", "wrong bytes", "truncated archive", "leaves its folder"],
)
def test_failed_download_leaves_nothing_and_a_second_run_completes(
    serve, run, tmp_path, remote, published, message
):
    with pytest.raises(DownloadFailedError, match=message) as caught:
        run(pascal((serve(voc=remote()), published, ())))
    assert "to fix" in str(caught.value)
    assert not (tmp_path / "records").exists() and not (tmp_path / "outside.txt").exists()
    unpacked = tmp_path / "downloads" / "pascal"
    assert not unpacked.exists() or not list(unpacked.iterdir())
    (tmp_path / "downloads" / "voc").unlink(missing_ok=True)
    run(pascal((serve(voc=Remote(VOC_TAR)), VOC_TAR, ())))
    assert names(tmp_path / "records", "val") == ["c.jpg"]


def test_broken_download_goes_on_within_a_run(serve, run):
    remote = Remote(VOC_TAR, breaks=[5000])
    run(pascal((serve(voc=remote), VOC_TAR, ())))
    assert remote.asked == [None, "bytes=5000-"]


def test_local_copy_needs_no_network(serve, run, tmp_path):
    for name, content in VOC.items():
        path = tmp_path / "copy" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    remote = Remote(VOC_TAR)
    run(pascal((serve(voc=remote), VOC_TAR, ())), source=tmp_path / "copy")
    assert remote.asked == []
    assert names(tmp_path / "records", "train") == ["a.jpg", "b.jpg"]


def test_same_pictures_give_the_same_bytes_whatever_the_engine_does(serve, run, tmp_path):
    dataset = pascal((serve(voc=Remote(VOC_TAR)), VOC_TAR, ()))

    beam = ["--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner"]

    def shards(count, **engine):
        run(dataset, shards=count, **engine)
        files = records.record_files(tmp_path / "records", "*.tfrecord")
        return {path: open(path, "rb").read() for path in files}

    alone = shards(2)
    assert len(shards(3)) == 6
    assert shards(2, workers=2) == alone
    assert shards(2, beam_args=beam) == alone
    assert shards(2, beam_args=beam, workers=2) == alone
    assert len(alone) == 4 and any(alone.values())


def test_wrong_splits_and_sources_are_refused(run, tmp_path):
    with pytest.raises(ConfigError, match=r"expected splits of pascal, train, val.*got test"):
        run(schemas.load("pascal"), ["test"])
    with pytest.raises(ConfigError, match="expected --source with the pictures"):
        run(pascal(), ["train", "val"])
    with pytest.raises(DataError, match="no such folder"):
        run(pascal(), source=tmp_path / "nowhere")
    with pytest.raises(DataError, match="none there"):
        (tmp_path / "empty").mkdir()
        run(pascal(), source=tmp_path / "empty")


def test_a_closed_folder_of_downloads_is_named_not_that_of_the_records(tmp_path, run):
    with tempfile.TemporaryDirectory() as name:
        downloads = Path(name)
        (downloads / "voc").write_bytes(VOC_TAR)
        downloads.chmod(0o555)
        message = f"expected to write to {downloads}/pascal; got Permission denied; to fix, "
        with unprivileged(), pytest.raises(ConfigError, match=message):
            run(pascal((["http://localhost/voc"], VOC_TAR, ())), downloads=downloads)
        downloads.chmod(0o755)


def test_a_source_that_cannot_be_read_is_bad_data(run):
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "VOCdevkit"
        source.mkdir()
        Path(name).chmod(0o000)
        message = f"expected pictures .*; got {source}.*, which cannot be read .*; to fix, "
        with unprivileged(), pytest.raises(DataError, match=message):
            run(pascal(), source=source)
        Path(name).chmod(0o755)


def test_a_failed_download_has_an_exit_code_of_its_own():
    stream = io.StringIO()
    with pytest.raises(SystemExit) as caught, exit_codes(Console(file=stream)):
        raise DownloadFailedError("expected a file; got none; to fix, try again")
    assert caught.value.code == 6
    assert stream.getvalue().startswith("Download failed: expected a file")
