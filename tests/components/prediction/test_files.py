"""Which pictures are found, what their results are called, and that these appear whole."""

import itertools
import os
import random
from pathlib import Path

import pytest

from components.errors import ConfigError
from components.prediction import files
from components.prediction.files import PictureError
from tests.components.prediction.conftest import picture


def fill(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"content")
    return folder


def names(*asked: Path, without=()) -> dict[str, str]:
    found, _ = files.find(asked, without)
    return {each.name: each.target for each in found}


def test_nested_folders_are_kept_and_others_are_said(tmp_path):
    folder = fill(tmp_path, "a.jpg", "b/a.PNG", "b/c/d.tif", "b/notes.txt", ".hidden.jpg", "e")
    found, not_taken = files.find([folder])
    assert {each.name: each.target for each in found} == {
        "a.jpg": "a",
        "b/a.PNG": "b/a",
        "b/c/d.tif": "b/c/d",
    }
    assert not_taken == [str(folder / "b/notes.txt"), str(folder / "e")]


def test_a_file_that_is_named_is_taken_whatever_it_is_called(tmp_path):
    fill(tmp_path, "notes.txt", "x.jpg")
    assert names(tmp_path / "notes.txt", tmp_path) == {"notes.txt": "notes", "x.jpg": "x"}
    assert names(tmp_path / "x.jpg", tmp_path) == {"x.jpg": "x"}  # Once.


def test_links_are_followed_and_loops_end(tmp_path):
    fill(tmp_path, "in/a.jpg", "other/b.jpg")
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "more").symlink_to(tmp_path / "other")
    (tmp_path / "in" / "gone.jpg").symlink_to(tmp_path / "nothing")
    (tmp_path / "in" / "itself.jpg").symlink_to(tmp_path / "in" / "itself.jpg")
    assert set(names(tmp_path / "in")) == {"a.jpg", "more/b.jpg", "gone.jpg", "itself.jpg"}
    for name in ("gone.jpg", "itself.jpg"):
        with pytest.raises(PictureError, match="expected a file that can be read, got"):
            files.read(tmp_path / "in" / name)


def test_results_of_an_earlier_command_are_no_pictures(tmp_path):
    fill(tmp_path, "a.jpg", "out/masks/a.png", "out/overlays/a.jpg")
    without = (tmp_path / "out/masks", tmp_path / "out/overlays")
    assert set(names(tmp_path, without=without)) == {"a.jpg"}


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["empty"], "got no file that ends with one of .apng, .avif"),
        (["texts"], "got no file that ends with"),
        (["gone"], "expected a picture or a folder of them at .*gone; got nothing there"),
        (["one", "two"], "expected pictures of different names; got x.jpg from more than one"),
    ],
)
def test_what_cannot_be_meant_is_said(asked, message, tmp_path):
    (tmp_path / "empty").mkdir()
    fill(tmp_path, "texts/a.txt", "one/x.jpg", "two/x.jpg")
    with pytest.raises(ConfigError, match=message):
        files.find([tmp_path / name for name in asked])


def test_no_two_pictures_have_one_result():
    """Of all folders of up to three files, and of larger ones by chance."""
    every = [
        f"{stem}{ending}"
        for stem in ("a", "a.jpg", "b/a", "a.png")
        for ending in ("", ".jpg", ".png", ".jpg.png")
    ]
    chance = random.Random(2)
    folders = [c for count in (1, 2, 3) for c in itertools.combinations(every, count)]
    folders += [chance.sample(every, chance.randint(4, 12)) for _ in range(300)]
    for folder in map(sorted, map(set, folders)):
        found = files.targets(folder)
        assert len(set(found)) == len(folder), folder
        for name, target in zip(folder, found, strict=True):
            assert target in (name, os.path.splitext(name)[0])
    assert files.targets(["a.jpg", "b.jpg"]) == ["a", "b"]


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_what_a_model_decodes_itself_is_untouched(kind):
    content = picture(5, 4, kind)
    assert files.as_served(content) is content


@pytest.mark.parametrize("content", [b"", b"text", picture(9, 9, "TIFF")[:100]])
def test_what_is_no_picture_is_a_problem_of_its_own(content):
    with pytest.raises(PictureError):
        files.as_served(content)


# === Writing ===


def test_a_result_appears_whole_or_not_at_all(tmp_path):
    target = tmp_path / "a" / "b.png"
    files.write(target, b"one")
    files.write(target, b"two")
    assert target.read_bytes() == b"two"
    with pytest.raises(ZeroDivisionError), files.appearing(target) as part:
        part.write_bytes(b"three")
        raise ZeroDivisionError
    assert target.read_bytes() == b"two" and os.listdir(target.parent) == ["b.png"]


@pytest.mark.parametrize("target", ["file/m.png", "file/deep/m.png", "folder"])
def test_what_is_in_the_way_is_said(target, tmp_path):
    fill(tmp_path, "file", "folder/x")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ConfigError, match="expected to write to"):
        files.write(tmp_path / target, b"content")
    assert sorted(tmp_path.rglob("*")) == before
