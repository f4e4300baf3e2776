"""A push, a clearing away or a rollback that is killed leaves whole versions only."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from components.serving import models_config, succession, versions
from components.serving.signing import verification
from components.storage import paths
from tests.components.serving.model_folders import make_model, push
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.slow

SCRIPT = """
import json, os, shutil, signal, sys
from components.serving import models_config, pushing, succession, versions
from tests.components.serving.model_folders import push

def act(name, model, folder):
    if name == "push":
        version = push(model, folder, "new")
        models_config.label(folder, int(os.path.basename(version)), "stable")
    elif name == "remove":
        pushing.remove_older(folder, 1, ())
    else:
        copy = succession.roll_back(folder, succession.find(folder, None))
        models_config.label(folder, int(os.path.basename(copy)), "stable")

def killed_at(moment, name, model, root):
    # Every call of the system that changes or opens a file there is a moment.
    passed = 0
    def watch(event, arguments):
        nonlocal passed
        if event.split(".")[0] in ("open", "os", "shutil") and root in str(arguments[:2]):
            if passed == moment:
                os.kill(os.getpid(), signal.SIGKILL)
            passed += 1
    sys.addaudithook(watch)
    act(name, model, os.path.join(root, "deeplab"))
    os._exit(0)

name, model, before, folders = sys.argv[1:]
moment, ended = 0, False
while not ended:
    root = os.path.join(folders, str(moment))
    shutil.copytree(before, root)
    child = os.fork()
    if not child:
        killed_at(moment, name, model, root)
    status = os.waitpid(child, 0)[1]
    assert status in (0, signal.SIGKILL), status
    ended, moment = status == 0, moment + 1
print(json.dumps(moment))
"""


@pytest.fixture
def model(tmp_path) -> str:
    return make_model(tmp_path / "model", "sample", b"new")


@pytest.fixture
def before(tmp_path) -> Path:
    """Two versions, and what earlier killings left."""
    root = tmp_path / "before"
    for letter in "AB":
        made = make_model(tmp_path / letter, "sample", letter.encode())
        version = push(made, str(root / "deeplab"), letter.lower())
    models_config.label(str(root / "deeplab"), int(Path(version).name), "stable")
    (root / "deeplab" / ".unfinished-0" / "variables").mkdir(parents=True)
    return root


@pytest.mark.parametrize("action", ["push", "remove", "rollback"])
def test_killed_at_any_moment_it_leaves_whole_versions_and_no_hindrance(
    tmp_path, model, before, action
):
    folders = tmp_path / "folders"
    words = [action, model, str(before), str(folders)]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *words],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    moments = json.loads(done.stdout)
    assert moments > (5 if action == "remove" else 15)
    whole = {versions.content(path) for path in versions.versions(str(before / "deeplab"))}
    whole.add(versions.content(model))
    seen = set()
    for root in folders.iterdir():
        folder = str(root / "deeplab")
        there = versions.versions(folder)
        assert there == versions.numbered(folder) and there
        assert all(verification.examine(version, None).faults == () for version in there)
        assert {versions.content(version) for version in there} <= whole
        assert int(os.path.basename(there[-1])) <= models_config.labels(folder)["stable"]
        seen.add(len(there))
        again = push(model, folder, "again")
        models_config.label(folder, int(os.path.basename(again)), "stable")
        assert succession.require_served(again, folder, versions.content(model)) == again
        assert [name for name in os.listdir(folder) if not name.isdigit()] == []
    assert seen == ({1, 2} if action == "remove" else {2, 3})


@pytest.mark.parametrize("moment", range(40))
def test_ended_at_any_call_a_push_to_a_store_shows_no_version_but_the_whole(model, moment):
    """A store of TensorFlow's lives in this process, which no signal may end."""
    folder = f"ram://ended/{moment}/deeplab"
    passed = 0

    class Ended(BaseException):
        pass

    def watch(frame, event, _):
        nonlocal passed
        if event == "call" and frame.f_code.co_filename == paths.__file__:
            passed += 1
            if passed > 7 * moment:
                raise Ended

    sys.setprofile(watch)
    try:
        push(model, folder)
        is_done = True
    except Ended:
        is_done = False
    finally:
        sys.setprofile(None)
    there = versions.versions(folder)
    assert all(verification.examine(version, None).faults == () for version in there)
    assert len(there) <= 1 and (there or not is_done)
    again = push(model, folder)
    assert versions.newest_version(folder) == again == versions.numbered(folder)[0]
    assert versions.is_unharmed(again)


def test_the_moments_in_a_store_cover_a_whole_push(model):
    calls = 0

    def watch(frame, event, _):
        nonlocal calls
        calls += event == "call" and frame.f_code.co_filename == paths.__file__

    sys.setprofile(watch)
    try:
        push(model, "ram://counted/deeplab")
    finally:
        sys.setprofile(None)
    assert 70 < calls <= 7 * 39


@pytest.mark.parametrize("ahead", [0, 1, 1_700_000_000, 4_000_000_000, 2**62, 2**63 - 2])
def test_a_clock_that_jumped_back_makes_no_number_below_those_there(model, tmp_path, ahead):
    folder = str(tmp_path / "deeplab")
    os.makedirs(os.path.join(folder, str(ahead)))
    version = push(model, folder)
    assert int(os.path.basename(version)) > ahead
    assert versions.numbered(folder)[0] == version
