"""Data set descriptions: the shipped ones hold known facts, and wrong ones are refused."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

import schemas
from schemas import ClassInfo, Dataset, DatasetError

NAMES = ("ade20k", "pascal", "sample")
KEYS = {
    "image/encoded",
    "image/filename",
    "image/format",
    "image/height",
    "image/width",
    "image/channels",
    "image/segmentation/class/encoded",
    "image/segmentation/class/format",
}


def voc_color(label: int) -> tuple[int, ...]:
    """Colour of a label in the VOC development kit: its bits dealt to red, green and blue."""
    color = [0, 0, 0]
    for place in range(8):
        for channel in range(3):
            bit = label >> (3 * place + channel) & 1
            color[channel] |= bit << (7 - place)
    return tuple(color)


def dataset(
    ids: tuple[int, ...] = (0, 1),
    names: tuple[str, ...] = ("background", "thing"),
    ignore_label: int = 255,
) -> Dataset:
    classes = tuple(ClassInfo(i, name, (i % 256, 0, 0)) for i, name in zip(ids, names, strict=True))
    return Dataset(name="own", title="Own", ignore_label=ignore_label, classes=classes)


# === What is shipped ===


def test_available_lists_the_shipped_data_sets():
    assert schemas.available() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_descriptions_go_through_json_and_back(name):
    loaded = schemas.load(name)
    again = schemas.from_json(schemas.to_json(loaded))
    assert again == loaded
    assert schemas.to_json(again) == schemas.to_json(loaded)
    assert (again.class_names, again.ignore_label) == (loaded.class_names, loaded.ignore_label)


@pytest.mark.parametrize(("name", "num_classes"), [("ade20k", 151), ("pascal", 21), ("sample", 7)])
def test_load_reads_classes_with_distinct_colors(name, num_classes):
    loaded = schemas.load(name)
    assert loaded.name == name
    assert loaded.title
    assert loaded.licence
    assert loaded.num_classes == len(loaded.class_names) == num_classes
    assert len({info.color for info in loaded.classes} | {schemas.IGNORE_COLOR}) == num_classes + 1


def test_pascal_has_official_order_and_colors():
    pascal = schemas.load("pascal")
    assert pascal.ignore_label == 255
    assert pascal.class_names[:3] == ("background", "aeroplane", "bicycle")
    assert pascal.class_names[15] == "person"
    assert pascal.class_names[-1] == "tvmonitor"
    assert [info.color for info in pascal.classes] == [voc_color(i) for i in range(21)]
    assert schemas.IGNORE_COLOR == voc_color(255)


def test_ade20k_ignores_the_unlabelled_class():
    ade20k = schemas.load("ade20k")
    assert ade20k.ignore_label == 0
    assert ade20k.class_names[0] == "unlabelled"
    assert (ade20k.class_names[1], ade20k.class_names[150]) == ("wall", "flag")


@pytest.mark.parametrize("name", NAMES)
def test_palette_colors_every_label(name):
    loaded = schemas.load(name)
    palette = np.uint8(loaded.palette)
    assert palette.shape == (256, 3)
    assert [tuple(row) for row in palette[: loaded.num_classes]] == [
        info.color for info in loaded.classes
    ]
    assert tuple(palette[255]) == schemas.IGNORE_COLOR


@pytest.mark.parametrize(
    "near", [schemas.IGNORE_COLOR, (224, 224, 191), (230, 220, 190)], ids=["same", "1 off", "near"]
)
@pytest.mark.parametrize("more", [(), ((0, 0, 0), (255, 255, 255), (0, 255, 0), (255, 0, 255))])
def test_what_is_ignored_is_drawn_unlike_every_class(near, more):
    classes = tuple(ClassInfo(i, str(i), color) for i, color in enumerate((near, (0, 0, 9), *more)))
    made = Dataset(name="own", title="Own", ignore_label=255, classes=classes)
    ignored, colors = np.array(made.palette[255]), np.array([info.color for info in classes])
    assert np.linalg.norm(colors - ignored, axis=1).min() > 64
    assert len(set(made.palette[len(classes) :])) == 1


@pytest.mark.parametrize("name", NAMES)
def test_schema_makes_every_official_key_dense_and_required(name):
    schema = text_format.Parse(schemas.schema_text(name), schema_pb2.Schema())
    features = {feature.name: feature for feature in schema.feature}
    assert set(features) == KEYS
    assert len(schema.feature) == len(KEYS)
    for feature in schema.feature:
        assert [dim.size for dim in feature.shape.dim] == [1], feature.name
        assert feature.presence.min_fraction == 1, feature.name
        assert feature.presence.min_count == 1, feature.name
    for key in ("image/encoded", "image/segmentation/class/encoded"):
        assert features[key].type == schema_pb2.BYTES
        assert features[key].WhichOneof("domain_info") == "image_domain"
    for key in ("image/height", "image/width", "image/channels"):
        assert features[key].type == schema_pb2.INT
        assert features[key].int_domain.min >= 1
    domains = {domain.name: list(domain.value) for domain in schema.string_domain}
    assert domains[features["image/format"].domain] == ["jpeg", "png"]
    assert domains[features["image/segmentation/class/format"].domain] == ["png"]
    assert features["image/filename"].WhichOneof("domain_info") is None


# === What is refused ===


@pytest.mark.parametrize("call", [schemas.load, schemas.schema_dir])
@pytest.mark.parametrize("name", ["cityscapes", "", "..", "__pycache__"])
def test_unknown_data_set_names_the_available_ones(call, name):
    with pytest.raises(DatasetError, match=re.escape("ade20k, pascal, sample; got " + repr(name))):
        call(name)


@pytest.mark.parametrize("ids", [(1, 2), (0, 2), (1, 0), (0, 0)])
def test_ids_have_to_count_up_from_0(ids):
    with pytest.raises(DatasetError, match="expected at least two classes with ids 0, 1, 2"):
        dataset(ids=ids)


def test_a_single_class_is_refused():
    with pytest.raises(DatasetError, match="at least two classes"):
        dataset(ids=(0,), names=("background",))


@pytest.mark.parametrize(
    ("count", "ignore_label", "message"),
    [
        (
            300,
            255,
            "at most 256 classes with ids 0 to 255, .*; or 255 and an ignore_label of 255; got",
        ),
        (257, 0, "at most 256 classes .*; got 257 classes; to fix, merge classes"),
        (256, 255, r"an ignore_label of 0, for 256 classes leave no other .*; got 255; to fix, "),
    ],
)
def test_more_classes_than_a_byte_has_ids_for_are_refused(count, ignore_label, message):
    names = tuple(map(str, range(count)))
    with pytest.raises(DatasetError, match=message) as caught:
        dataset(tuple(range(count)), names, ignore_label)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(("count", "ignore_label"), [(256, 0), (255, 255), (255, 0)])
def test_as_many_classes_as_a_byte_has_ids_for_are_taken(count, ignore_label):
    made = dataset(tuple(range(count)), tuple(map(str, range(count))), ignore_label)
    assert np.uint8(made.palette).shape == (256, 3)


def test_all_that_is_wrong_with_the_classes_is_said_at_once():
    with pytest.raises(DatasetError) as caught:
        dataset(ids=(0, 2), names=("thing", "thing"), ignore_label=300)
    ids, first, second, ignored = str(caught.value).splitlines()
    assert "ids 0, 1, 2, … in this order; got ids [0, 2]" in ids
    assert "'thing' for class 0, and 2 times in all" in first and "rename class 2" in second
    assert "[2, 255], where no class is; got 300" in ignored


@pytest.mark.parametrize(
    "names",
    [("thing", "thing"), ("background", " "), ("e\u0301t\u00e9", "\u00e9te\u0301"), ("a", "a ")],
)
def test_names_have_to_be_unique_and_not_blank(names):
    with pytest.raises(DatasetError, match="expected a name of its own for each class"):
        dataset(names=names)


@pytest.mark.parametrize("ignore_label", [0, 2, 255])
def test_ignore_label_may_be_0_or_lie_behind_the_classes(ignore_label):
    assert dataset(ignore_label=ignore_label).ignore_label == ignore_label


@pytest.mark.parametrize("ignore_label", [-1, 1, 256])
def test_ignore_label_must_not_be_a_class_of_its_own(ignore_label):
    with pytest.raises(DatasetError, match=rf"0 or in \[2, 255\].*got {ignore_label}"):
        dataset(ignore_label=ignore_label)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("#f2b134", "orange", "expected a color such as"),
        ("ignore_label = 255", "", "ignore_label of type int; got None"),
        ("ignore_label = 255", "ignore_label = true", "ignore_label of type int; got True"),
        ('name = "zebra"', "name = 3", "expected name of type str; got 3"),
        ('title = "', "title = ", "expected a TOML file"),
        ('{ id = 1, color = "#f2b134", name = "zebra" }', '"zebra"', "expected tables with id"),
    ],
)
def test_wrong_description_is_refused_with_its_fix(tmp_path: Path, old, new, message):
    text = (schemas.schema_dir("sample") / "dataset.toml").read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "dataset.toml").write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(DatasetError, match=message) as caught:
        schemas.read(tmp_path)
    assert "to fix" in str(caught.value)


def test_own_data_set_is_named_after_its_folder(tmp_path: Path):
    own = tmp_path / "garden"
    own.mkdir()
    text = (schemas.schema_dir("sample") / "dataset.toml").read_text(encoding="utf-8")
    (own / "dataset.toml").write_text(text, encoding="utf-8")
    assert schemas.read(own).name == "garden"
    assert schemas.read(own).classes == schemas.load("sample").classes


def test_description_saved_on_windows_is_read_or_refused_with_its_fix(tmp_path: Path):
    text = (schemas.schema_dir("sample") / "dataset.toml").read_text(encoding="utf-8")
    (tmp_path / "dataset.toml").write_text(text.replace("\n", "\r\n"), encoding="utf-8-sig")
    assert schemas.read(tmp_path).classes == schemas.load("sample").classes
    for encoding in ("utf-16", "cp1252"):
        (tmp_path / "dataset.toml").write_text(f"# für Gärten\n{text}", encoding=encoding)
        with pytest.raises(DatasetError, match=r"expected a TOML file .* in UTF-8; got: .*codec"):
            schemas.read(tmp_path)


def test_missing_description_is_refused(tmp_path: Path):
    with pytest.raises(DatasetError, match="expected a TOML file"):
        schemas.read(tmp_path / "nowhere")


@pytest.mark.parametrize("file", ["dataset.toml", "schema.pbtxt"])
def test_digest_sees_a_change_of_either_file(tmp_path, monkeypatch, file):
    shutil.copytree(schemas.schema_dir("sample"), tmp_path / "sample")
    monkeypatch.setattr(schemas, "_ROOT", tmp_path)
    before = schemas.digest("sample")
    with (tmp_path / "sample" / file).open("a") as stream:
        stream.write("\n")
    assert schemas.digest("sample") != before


# === Folders of one's own ===


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder with one data set, "garden"."""
    folder = tmp_path / "own"
    shutil.copytree(schemas.schema_dir("sample"), folder / "garden")
    return folder


def test_a_data_set_of_ones_own_folder_is_known_beside_the_shipped_ones(own, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(own / "garden", other / "park")
    folders = (own, str(other), own)
    assert schemas.available(folders) == ("ade20k", "garden", "park", "pascal", "sample")
    assert schemas.available() == NAMES
    garden = schemas.load("garden", folders)
    assert garden.name == "garden" and garden.classes == schemas.load("sample").classes
    assert schemas.load("pascal", folders) == schemas.load("pascal")
    assert schemas.schema_text("park", folders) == schemas.schema_text("sample")
    assert schemas.digest("park", folders) == schemas.digest("sample")
    (other / "park" / "schema.pbtxt").write_text("feature {}")
    assert schemas.digest("park", folders) != schemas.digest("sample")


def test_the_same_name_twice_is_refused_and_both_places_are_named(own, tmp_path):
    shutil.copytree(own / "garden", tmp_path / "other" / "garden")
    with pytest.raises(
        DatasetError, match=r"got .*/own/garden and .*/other/garden; to fix, rename"
    ):
        schemas.load("garden", (own, tmp_path / "other"))
    shutil.copytree(own / "garden", own / "pascal")
    with pytest.raises(DatasetError, match=r"got .*/schemas/pascal and .*/own/pascal; to fix"):
        schemas.load("garden", (own,))


def test_a_folder_without_data_sets_is_refused(own):
    with pytest.raises(DatasetError, match=r"got .*/own/garden, which holds none; to fix, give"):
        schemas.available((own / "garden",))
    with pytest.raises(DatasetError, match=r"got .*/nowhere, which is no folder; to fix, give"):
        schemas.available((own / "nowhere",))


def test_an_unknown_name_and_a_missing_schema_name_the_folder_to_fill(own):
    with pytest.raises(DatasetError, match=r"got 'park'; to fix, .* add the folder .*/own/park"):
        schemas.load("park", (own,))
    (own / "garden" / "schema.pbtxt").unlink()
    for call in (schemas.schema_text, schemas.digest):
        with pytest.raises(DatasetError, match=r"expected a file .*/own/garden/schema\.pbtxt; got"):
            call("garden", (own,))
