"""What a full disk, a killed process and two processes at once leave behind."""

import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import schemas
from components.dataset import records
from components.dataset.building import build
from components.errors import ConfigError
from components.storage import folders
from tests.components.dataset.building import corpus
from tests.conftest import REPOSITORY

OLD = '{"source": "old", "splits": {}}'


@pytest.fixture
def source(tmp_path):
    """A PASCAL VOC of twelve pictures."""
    root = tmp_path / "VOCdevkit" / "VOC2012"
    names = [f"p{number:02d}" for number in range(12)]
    for name in names:
        corpus.write(root, f"JPEGImages/{name}.jpg", corpus.jpeg())
        corpus.write(root, f"SegmentationClass/{name}.png", corpus.mask_file(corpus.LABEL_HW))
    corpus.write(root, "ImageSets/Segmentation/train.txt", "\n".join(names[:8]).encode())
    corpus.write(root, "ImageSets/Segmentation/val.txt", "\n".join(names[8:]).encode())
    return root


@pytest.fixture
def output(tmp_path):
    return tmp_path / "out" / "records"


def command(source, output):
    words = ("components.dataset", "build", "pascal", "--source", source, "--output", output)
    return [sys.executable, "-m", *map(str, words)]


def built(source, output):
    return build.build(
        schemas.load("pascal"), ["train", "val"], output, source=source, downloads=output.parent
    )


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def start_writing(folder):
    """As a process does that is killed: its last line is never reached."""
    return subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import pathlib, sys\n"
            "from components.storage import folders\n"
            "with folders.unfinished(pathlib.Path(sys.argv[1])) as new:\n"
            "    (new / 'half').write_text('half')\n"
            "    print(new, flush=True)\n"
            "    sys.stdin.read()\n",
            str(folder),
        ],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize("limit", [100, 3000])
def test_a_full_disk_is_one_message_and_leaves_what_was_there(source, output, limit):
    """A limit on the size of files fails the same calls of the system as a full disk."""
    built(source, output)
    before = contents(output)
    noise_HW3 = np.random.default_rng(0).integers(0, 256, (32, 64, 3), np.uint8)
    (source / "JPEGImages/p00.jpg").write_bytes(corpus.encode(noise_HW3, "PNG"))

    def limited():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    done = subprocess.run(
        command(source, output), cwd=REPOSITORY, preexec_fn=limited, capture_output=True, text=True
    )
    assert done.returncode == 2, done.stdout + done.stderr
    (message,) = done.stdout.splitlines()
    assert message.startswith("Configuration error: expected to write the records; got ")
    assert message.endswith("; to fix, make room there or choose another folder")
    assert "Traceback" not in done.stderr
    assert contents(output) == before
    assert [path.name for path in output.parent.iterdir()] == [output.name]


@pytest.mark.slow
def test_a_killed_build_leaves_the_old_records_and_the_next_one_completes(source, output):
    built(source, output)
    before = contents(output)
    # Whoever opens this waits for a writer, who never comes.
    picture = source / "JPEGImages/p03.jpg"
    picture.unlink()
    os.mkfifo(picture)
    process = subprocess.Popen(
        command(source, output),
        cwd=REPOSITORY,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while not list(output.parent.glob(".records.*/*.tfrecord")):
            assert process.poll() is None
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()
    assert contents(output) == before
    assert len(list(output.parent.iterdir())) == 2

    picture.unlink()
    picture.write_bytes(corpus.encode(corpus.IMAGE, "PNG"))
    manifest = built(source, output)
    assert manifest["splits"]["train"]["records"] == 8
    assert contents(output) != before and "manifest.json" in contents(output)
    assert [path.name for path in output.parent.iterdir()] == [output.name]


@pytest.mark.slow
def test_what_a_killed_process_left_is_removed_and_what_a_living_one_writes_is_not(output):
    living, killed = start_writing(output), start_writing(output)
    try:
        kept, left = (process.stdout.readline().strip() for process in (living, killed))
        killed.kill()
        killed.wait()
        stranger = output.with_name(f".records.{'x' * 32}")
        stranger.mkdir()
        (stranger / "file").touch()
        with folders.unfinished(output) as new:
            assert os.path.exists(kept) and stranger.exists() and new.exists()
            assert not os.path.exists(left)
        living.communicate("")
        assert [path.name for path in output.iterdir()] == ["half"]
    finally:
        living.kill()
        killed.kill()


def test_an_interrupted_writer_leaves_the_old_records_and_nothing_else(output):
    def endless():
        yield records.Record(
            filename="a.jpg",
            image=corpus.jpeg(),
            image_format="jpeg",
            label=corpus.mask_file(corpus.LABEL_HW),
            height=32,
            width=64,
        )
        raise KeyboardInterrupt

    output.mkdir(parents=True)
    (output / folders.MANIFEST).write_text(OLD)
    with pytest.raises(KeyboardInterrupt):
        records.write_records(output, {"train": endless()}, source="new")
    assert records.is_current(output, "old")
    assert [path.name for path in output.parent.iterdir()] == [output.name]


# === What lies there already ===

TRAIN = "train-00000-of-00001.tfrecord"


@pytest.mark.parametrize(
    ("files", "other"),
    [
        ({folders.MANIFEST: '{"name": "web app"}'}, "no manifest.json of records"),
        ({folders.MANIFEST: "{", TRAIN: ""}, "no manifest.json of records"),
        ({folders.MANIFEST: "[]", TRAIN: ""}, "no manifest.json of records"),
        ({TRAIN: ""}, "no manifest.json of records"),
        ({folders.MANIFEST: OLD, TRAIN: "", "holiday.jpg": ""}, "holiday.jpg"),
        ({folders.MANIFEST: OLD, TRAIN: "", ".hidden": ""}, ".hidden"),
        ({folders.MANIFEST: OLD, "more/1.jpg": ""}, "more"),
        ({folders.MANIFEST: OLD, "more.tfrecord/1.jpg": ""}, "more.tfrecord"),
    ],
)
def test_a_folder_that_holds_anything_but_records_is_never_replaced(output, files, other):
    for name, text in files.items():
        corpus.write(output, name, text.encode())
    before = sorted(output.rglob("*"))
    with (
        pytest.raises(ConfigError, match=f"something else \\({re.escape(other)}\\); to fix, "),
        folders.unfinished(output),
    ):
        pass
    assert sorted(output.rglob("*")) == before
    assert list(output.parent.iterdir()) == [output]


def test_what_is_put_there_meanwhile_is_not_replaced_either(output):
    corpus.write(output, folders.MANIFEST, OLD.encode())
    with pytest.raises(ConfigError, match=r"holiday\.jpg"), folders.unfinished(output):
        (output / "holiday.jpg").touch()
    assert (output / "holiday.jpg").exists() and list(output.parent.iterdir()) == [output]


def test_a_mount_point_is_refused_at_once():
    with (
        pytest.raises(ConfigError, match=r"got /proc, .*mounted on; to fix, choose a folder ins"),
        folders.unfinished(Path("/proc")),
    ):
        pass


def test_the_old_records_come_back_when_the_new_ones_cannot_take_their_place(output):
    corpus.write(output, folders.MANIFEST, OLD.encode())
    with pytest.raises(FileNotFoundError), folders.unfinished(output) as new:
        shutil.rmtree(new)
    assert records.is_current(output, "old")
    assert list(output.parent.iterdir()) == [output]


@pytest.mark.parametrize("is_there", [True, False])
@pytest.mark.parametrize("is_half_removed", [True, False])
def test_old_records_of_a_killed_process_are_put_back_or_removed(output, is_there, is_half_removed):
    new = output.with_name(f".records.{'a' * 32}")
    old = output.with_name(f"{new.name}.old")
    corpus.write(old, TRAIN, b"")
    if not is_half_removed:
        corpus.write(new, TRAIN, b"")
        corpus.write(old, folders.MANIFEST, OLD.encode())
    if is_there:
        corpus.write(output, folders.MANIFEST, OLD.replace("old", "there").encode())
    with pytest.raises(KeyboardInterrupt), folders.unfinished(output):
        raise KeyboardInterrupt
    assert records.is_current(output, "there") == is_there
    assert records.is_current(output, "old") == (not is_there and not is_half_removed)
    assert list(output.parent.iterdir()) == ([output] if output.exists() else [])


@pytest.mark.slow
def test_old_records_of_a_living_process_stay_where_it_has_them(output):
    living = start_writing(output)
    try:
        old = Path(f"{living.stdout.readline().strip()}.old")
        corpus.write(old, folders.MANIFEST, OLD.encode())
        with pytest.raises(KeyboardInterrupt), folders.unfinished(output):
            raise KeyboardInterrupt
        assert old.exists() and not output.exists()
        living.communicate("")
        assert [path.name for path in output.iterdir()] == ["half"]
    finally:
        living.kill()


def test_disk_errors_are_for_people_and_others_are_not_hidden(tmp_path):
    with (
        pytest.raises(ConfigError, match=r"expected to write to .*/full; got No space left"),
        folders.disk_errors(tmp_path / "full"),
        open("/dev/full", "w", buffering=1) as full,
    ):
        full.write("a line\n")
    with pytest.raises(FileNotFoundError), folders.disk_errors(tmp_path):
        (tmp_path / "nowhere").read_text()
