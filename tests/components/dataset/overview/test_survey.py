"""The survey: exact counts, a fair sample, every reason for suspicion, and nothing stops it."""

import dataclasses
import io
import re

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import schemas
from components.dataset import records
from components.dataset.examination import findings
from components.dataset.overview import suspicions
from components.dataset.overview.survey import THUMBNAIL_SIDE, survey
from components.dataset.overview.verdict import ignored_share, verdict

DATASET = schemas.Dataset(
    name="toy",
    title="Toys",
    ignore_label=255,
    classes=(
        schemas.ClassInfo(0, "background", (0, 0, 0)),
        schemas.ClassInfo(1, "car", (200, 0, 0)),
        schemas.ClassInfo(2, "doll", (0, 200, 0)),
    ),
)


def encode(pixels: np.ndarray | Image.Image, file_format: str = "PNG", **options) -> bytes:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def mask(*areas: tuple[int, int], size=(100, 80)) -> np.ndarray:
    """A background with so many pixels of each label."""
    label = np.zeros(size[0] * size[1], np.uint8)
    start = 0
    for value, count in areas:
        label[start : start + count] = value
        start += count
    return label.reshape(size[::-1])


def record(name="a.png", *, level=100, label=None, size=(100, 80), **changes) -> records.Record:
    label = mask((1, 400), (2, 300), (255, 100), size=size) if label is None else label
    options = {
        "filename": name,
        "image": encode(Image.new("RGB", size, (level, level, level))),
        "image_format": "png",
        "label": label if isinstance(label, bytes) else encode(label),
        "height": size[1],
        "width": size[0],
    }
    return records.Record(**{**options, **changes})


def surveyed(folder, *all_records, shards=1, **options):
    """The survey of one split that holds these records."""
    records.write_records(folder, {"train": all_records}, source="test", shards=shards)
    files = records.record_files(folder, "train-*")
    return survey({"train": files}, DATASET, **options).splits["train"]


def test_counts_are_exact(tmp_path):
    split = surveyed(
        tmp_path / "data",
        record("a.png", level=5, label=mask((1, 400), (255, 800))),
        record("b.png", level=100, label=mask((1, 100), (2, 50))),
        record("c.png", level=101, size=(120, 80), label=mask((2, 96), size=(120, 80))),
        shards=2,
    )
    assert (split.files, split.records, split.pictures) == (2, 3, 3)
    assert split.class_pixels(DATASET).tolist() == [24154, 500, 146]
    # 3 pictures: 8000 + 8000 + 9600 pixels, 800 of them ignored.
    assert split.pixels_256.sum() == 25600 and split.pixels_256[255] == 800
    assert ignored_share([split], DATASET) == 800 / 25600
    assert [int(split.occurrences_256[i]) for i in (0, 1, 2, 255)] == [3, 2, 2, 1]
    assert split.sizes == {(100, 80): 2, (120, 80): 1}
    assert {i: int(n) for i, n in enumerate(split.measures.brightness) if n} == {0: 1, 12: 2}
    assert not split.reasons and not split.suspicious and not split.suspicious_count


def rgb_mask():
    pixels = np.zeros((80, 100, 3), np.uint8)
    pixels[:40] = (200, 0, 0)
    return encode(pixels)


def palette_mask():
    image = Image.fromarray(mask((1, 400)))
    image.putpalette([0, 0, 0, 200, 0, 0])
    return encode(image)


SUSPICIOUS = {
    "no picture": ({"image": b"junk"}, findings.CORRUPT_PICTURE, "got something else"),
    "cut picture": (
        {"image": encode(Image.effect_noise((100, 80), 60).convert("RGB"), "JPEG")[:-900]},
        findings.CORRUPT_PICTURE,
        "cut off or damaged",
    ),
    "webp": (
        {"image": encode(Image.new("RGB", (100, 80)), "WEBP")},
        findings.CORRUPT_PICTURE,
        "got something else",
    ),
    "cut mask": (
        {"label": encode(Image.effect_noise((100, 80), 60))[:200]},
        findings.CORRUPT_MASK,
        "the file is cut off",
    ),
    "colours": ({"label": rgb_mask()}, findings.UNSUITABLE_MASK, "got a PNG of 8-bit colours"),
    "palette": ({"label": palette_mask()}, findings.UNSUITABLE_MASK, "got a PNG of 1-bit palette"),
    "16 bits": (
        {"label": encode(mask((1, 400)).astype(np.uint16))},
        findings.UNSUITABLE_MASK,
        "got a PNG of 16-bit grey",
    ),
    "jpeg mask": (
        {"label": encode(mask((1, 400)), "JPEG")},
        findings.UNSUITABLE_MASK,
        "got a JPEG",
    ),
    "other size": (
        {"label": mask((1, 400), size=(60, 50))},
        findings.OTHER_SIZE,
        "the picture is 100x80, the mask 60x50",
    ),
    "transposed": (
        {"label": mask((1, 400), size=(80, 100))},
        findings.OTHER_SIZE,
        "the mask is transposed",
    ),
    "unknown label": (
        {"label": mask((1, 400), (3, 50), (200, 50))},
        findings.OUT_OF_RANGE,
        "got 3, 200",
    ),
    "all ignored": ({"label": mask((255, 8000))}, findings.ALL_IGNORED, "every pixel"),
    "one bit a pixel": (
        {"label": encode(Image.new("1", (100, 80), 1))},
        findings.UNSUITABLE_MASK,
        "got a PNG of 1-bit grey",
    ),
    "mostly ignored": (
        {"label": mask((255, 7600), (1, 300))},
        suspicions.MOSTLY_IGNORED,
        r"95\.0 % of the pixels",
    ),
    "only background": ({"label": mask()}, suspicions.NEARLY_EMPTY, "only background"),
    "nearly empty": (
        {"label": mask((1, 39))},
        suspicions.NEARLY_EMPTY,
        r"0\.49 % are not background",
    ),
    "one class": ({"label": mask((2, 8000))}, findings.ONE_CLASS, "only doll"),
    "few pixels": (
        {"label": mask((1, 400), (2, 15))},
        suspicions.FEW_PIXELS_OF_A_CLASS,
        "doll has 15 pixels, at x 0, y 4",
    ),
    "flat": ({"size": (400, 100)}, suspicions.EXTREME_SHAPE, r"400x100 pixels, 4\.0 : 1"),
    "small": ({"size": (80, 63)}, suspicions.SMALL, "80x63 pixels"),
}


@pytest.mark.parametrize("case", SUSPICIOUS)
def test_each_reason_for_suspicion(tmp_path, case):
    changes, reason, detail = SUSPICIOUS[case]
    split = surveyed(tmp_path / "data", record("good.png"), record("bad.png", level=101, **changes))
    assert split.reasons == {reason: 1} and split.suspicious_count == 1
    (shown,) = split.suspicious
    assert shown.name == "bad.png"
    (suspicion,) = shown.suspicions
    assert suspicion.reason == reason
    assert re.search(detail, suspicion.detail)


def test_just_inside_the_thresholds_nothing_is_suspicious(tmp_path):
    split = surveyed(
        tmp_path / "data",
        record("a.png", level=1, label=mask((1, 40))),
        record("b.png", level=2, label=mask((1, 400), (2, 16))),
        record("c.png", level=3, label=mask((255, 7599), (1, 300))),
        record("d.png", size=(192, 64)),
    )
    assert not split.reasons


def test_what_the_gate_refuses_of_all_records_together_is_counted_and_named(tmp_path):
    train = [record("a.png", level=1), record("b.png", level=1), record("c.png", level=3)]
    train += [record("a.png", level=4), record("c.png", level=3)]
    val = [record("d.png", level=1), record("c.png", level=6), record("e.png", level=7)]
    records.write_records(tmp_path / "data", {"train": train, "val": val}, source="x", shards=2)
    splits = {s: records.record_files(tmp_path / "data", f"{s}-*") for s in ("train", "val")}
    found = survey(splits, DATASET)
    assert [str(finding) for finding in found.repeats] == [
        "train a.png: duplicate, the same name as a.png",
        "train b.png: duplicate, the same picture as a.png",
        "train c.png: duplicate, the same name as c.png",
        "val c.png: in two splits, train has the same name",
        "val d.png: in two splits, train has the same picture, a.png",
    ]
    assert found.splits["train"].reasons == {findings.DUPLICATE: 3}
    assert found.splits["val"].reasons == {findings.IN_TWO_SPLITS: 2}
    first, second, *_ = verdict(found, DATASET)
    assert (first.grave_share, second.grave_share) == (2 / 3, 3 / 5)
    assert first.text == (
        "In 2 of 3 records of val, the picture, or its name, is in another split too: "
        "c.png (train has the same name), d.png (train has the same picture, a.png)."
    )
    assert second.text.startswith("In 3 of 5 records of train, the picture, or its name, is there")


def test_what_the_gate_warns_of_is_said_and_is_not_grave(tmp_path):
    splits = {
        "train": [record(f"{i}.png", level=i, label=mask((1, 400), (2, 400))) for i in range(4)],
        "val": [record(f"v{i}.png", level=250 + i, label=mask((2, 6000))) for i in range(4)],
    }
    records.write_records(tmp_path / "data", splits, source="x", shards=1)
    files = {s: records.record_files(tmp_path / "data", f"{s}-*") for s in splits}
    (said,) = [r for r in verdict(survey(files, DATASET), DATASET) if "skew" in r.text]
    assert said.grave_share == 0
    assert re.fullmatch(
        "A run is going to warn of skew of the training against the validation split: class "
        r"distance 0\.\d+, at most 0\.1, skew .*: brightness distance 1\.000, at most 0\.2\.",
        said.text,
    )


def test_missing_features_are_listed(tmp_path):
    example = tf.train.Example.FromString(record("half.png").serialize())
    del example.features.feature[records.LABEL]
    path = str(tmp_path / "x.tfrecord")
    with tf.io.TFRecordWriter(path) as writer:
        writer.write(example.SerializeToString())
        writer.write(tf.train.Example().SerializeToString())
    split = survey({"train": [path]}, DATASET).splits["train"]
    assert (split.records, split.pictures) == (2, 0)
    assert split.reasons == {findings.MISSING_FEATURE: 2}
    assert {shown.name for shown in split.suspicious} == {"half.png", "(record without a name)"}


def test_a_broken_file_does_not_stop_the_rest(tmp_path):
    folder = tmp_path / "data"
    surveyed(folder, *(record(f"{i}.png", level=i) for i in range(4)), shards=2)
    first, second = records.record_files(folder, "train-*")
    content = open(first, "rb").read()
    with open(first, "wb") as file:
        file.write(content[:-20])
    (tmp_path / "text.tfrecord").write_text("text, no records")
    with tf.io.TFRecordWriter(str(tmp_path / "other.tfrecord")) as writer:
        writer.write(b"\xff\xff no example")
    files = [first, str(tmp_path / "text.tfrecord"), str(tmp_path / "other.tfrecord"), second]
    split = survey({"train": files}, DATASET).splits["train"]
    assert (split.records, split.pictures) == (3, 3)
    assert split.reasons == {findings.UNREADABLE: 3}
    names = {shown.name for shown in split.suspicious}
    assert names == {"train-00000-of-00002.tfrecord", "text.tfrecord", "other.tfrecord"}
    details = " ".join(s.detail for shown in split.suspicious for s in shown.suspicions)
    assert "truncated record" in details and "{{" not in details and "[Op:" not in details


def test_the_sample_is_fair_and_always_the_same(tmp_path):
    all_records = [record(f"{i:03d}.png", level=i) for i in range(60)]
    one = surveyed(tmp_path / "one", *all_records, examples_per_split=12)
    names = [shown.name for shown in one.examples]
    assert len(set(names)) == 12 and names == sorted(names)
    for third in range(3):
        assert any(20 * third <= int(name[:3]) < 20 * (third + 1) for name in names)
    other = surveyed(tmp_path / "two", *reversed(all_records), shards=5, examples_per_split=12)
    assert other.examples == one.examples
    few = surveyed(tmp_path / "one", *all_records[:5], examples_per_split=12)
    assert len(few.examples) == 5


def test_the_worst_of_each_reason_is_shown_and_all_are_counted(tmp_path):
    empty = [record(f"empty{i}.png", label=mask((1, i)), level=i) for i in range(16, 26)]
    flat = record("flat.png", size=(600, 100))
    both = record("both.png", size=(330, 60), label=mask((1, 99), (2, 1), size=(330, 60)))
    split = surveyed(tmp_path / "data", *reversed(empty), flat, both, suspicious_limit=4)
    assert split.suspicious_count == 12
    assert (
        split.reasons[suspicions.NEARLY_EMPTY] == 10
        and split.reasons[suspicions.EXTREME_SHAPE] == 2
    )
    # In turn: nearly empty, few pixels, extreme shape, very small (which is "both" again), …
    names = [shown.name for shown in split.suspicious]
    assert names == ["empty16.png", "both.png", "flat.png", "empty17.png"]
    assert len(next(s for s in split.suspicious if s.name == "both.png").suspicions) == 3


def test_nothing_is_shown_where_nothing_is_asked_for(tmp_path):
    split = surveyed(
        tmp_path / "data", record(label=mask()), examples_per_split=0, suspicious_limit=0
    )
    assert split.examples == split.suspicious == [] and split.suspicious_count == 1


def test_pictures_on_the_page_are_small_and_sizes_are_the_real_ones(tmp_path):
    image = encode(Image.new("RGB", (1200, 900), (10, 200, 30)), "JPEG")
    big = record("big.jpg", image=image, size=(1200, 900), label=mask((1, 9000), size=(1200, 900)))
    split = surveyed(tmp_path / "data", big)
    (shown,) = split.examples
    assert shown.size == (1200, 900) and split.sizes == {(1200, 900): 1}
    for encoded in (shown.image, shown.label, shown.overlay):
        assert max(Image.open(io.BytesIO(encoded)).size) == THUMBNAIL_SIDE
    assert shown.shares == ((0, 1 - 9000 / 1080000), (1, 9000 / 1080000))


def test_an_ignored_class_is_no_background_and_is_not_counted(tmp_path):
    names = ("unlabelled", "wall", "sky")
    classes = [
        dataclasses.replace(info, name=name)
        for info, name in zip(DATASET.classes, names, strict=True)
    ]
    dataset = dataclasses.replace(DATASET, ignore_label=0, classes=tuple(classes))
    records.write_records(
        tmp_path / "data", {"train": [record(label=mask((1, 2000)))]}, source="test", shards=1
    )
    files = records.record_files(tmp_path / "data", "train-*")
    split = survey({"train": files}, dataset).splits["train"]
    assert split.class_pixels(dataset).tolist() == [0, 2000, 0]
    assert ignored_share([split], dataset) == 0.75
    assert split.reasons == {findings.ONE_CLASS: 1}
