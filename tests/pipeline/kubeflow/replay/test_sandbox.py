"""What a step sees of this machine, and what it can leave behind."""

import os
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.pipeline.kubeflow.replay.small_files import Files

pytestmark = pytest.mark.slow


def replayed(tmp_path: Path, script: str, **request):
    files = Files()
    files.add("step", f"{script}\necho 1 > $made", settings=request.pop("settings", None))
    return files.replay(tmp_path, **request)


def test_a_step_sees_the_system_its_folders_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setenv("OF_THE_CALLER", "secret-of-the-caller")
    (tmp_path / "private").write_text("secret-of-the-caller")
    unseen = [tmp_path, tmp_path / "private", REPOSITORY / "setup.py", REPOSITORY / "pipeline",
              Path.home() / ".bashrc", Path("/var"), Path("/home/step/x")]  # fmt: skip
    # What is bound there has its folders above it.
    below = Path(sys.prefix).is_relative_to("/tmp")
    known = ["kfp", *(Path(sys.prefix).relative_to("/tmp").parts[:1] if below else ())]
    others = " ".join(f"-e '{name}'" for name in known)
    tests = "\n".join(f'test ! -e "{path}" || {{ echo sees {path}; exit 9; }}' for path in unseen)
    script = f"""
    {tests}
    test "$PWD" = /step; test -z "$(ls -A /step)"; test -z "$(ls -A "$HOME")"
    ls /tmp | grep -vx {others} && exit 8
    ! cat /proc/[0-9]*/environ | grep -q secret-of-the-caller
    test $(ls -d /proc/[0-9]* | wc -l) -lt 9
    for place in /usr/x /etc/x /etc/hosts /sys/x {sys.prefix}/x /opt/package/x; do
      (echo x >> $place) 2>/dev/null && {{ echo wrote $place; exit 7; }}
    done
    echo x > /tmp/x; echo x > /step/x; echo x > $HOME/x
    """
    seen = replayed(tmp_path, script)
    assert seen.code == 0, seen.log("step")
    assert not Path("/step").exists()


def test_a_step_runs_the_installed_project_and_the_environment_of_this_python(tmp_path):
    code = (
        "import pipeline, numpy, os; assert pipeline.__file__.startswith('/opt/package/'); "
        f"assert numpy.__file__.startswith({sys.prefix!r}); assert os.getcwd() == '/step'; "
        "import components.errors"
    )
    seen = replayed(tmp_path, f'python -c "{code}"; which python; env')
    assert seen.code == 0, seen.log("step")
    assert f"{sys.prefix}/bin/python" in seen.log("step")


def test_only_the_variables_of_the_container_and_of_an_image_are_set(tmp_path, monkeypatch):
    monkeypatch.setenv("OF_THE_CALLER", "x")
    files = Files()
    files.add(
        "step", 'env > $made; test "$A" = "1 \\$x"', env={"A": "1 $x", "PATH": "/usr/bin:/bin"}
    )
    seen = files.replay(tmp_path)
    assert seen.code == 0, seen.log("step")
    names = {line.partition("=")[0] for line in seen.path("step").read_text().splitlines()}
    assert names <= {"A", "PATH", "HOME", "LANG", "PYTHONPATH", "PYTHONUNBUFFERED", "PWD", "OLDPWD"}


def test_places_may_have_names_of_any_letters(tmp_path):
    folder = tmp_path / "a 'b' \"c\" $d é\\x20"
    (folder / "a volume").mkdir(parents=True)
    settings = {"pvcMount": [{"constant": "disk", "mountPath": "/mnt/a 'folder' é"}]}
    seen = replayed(
        folder,
        "echo 1 > \"/mnt/a 'folder' é/x\"; ! touch /etc/x /usr/x",
        settings=settings,
        claims={"disk": folder / "a volume"},
    )
    assert seen.code == 0, seen.log("step")
    assert (folder / "a volume" / "x").exists()


def test_an_artifact_that_is_no_input_is_not_there(tmp_path):
    files = Files()
    files.add("first", "mkdir $made; echo 1 > $made/a")
    files.add("other", "echo 1 > $made")
    # Written elsewhere first: the output lies there, too.
    script = "cat $from_first/a; find /minio -type f > /tmp/found; cp /tmp/found $made"
    files.add("step", script, after=["first"])
    seen = files.replay(tmp_path)
    (line,) = seen.path("step").read_text().splitlines()
    assert line.endswith("/made/a") and "/first/" in line
    # What a step does to its input stays with it.
    files.add("spoils", "echo 2 > $from_first/a; echo 1 > $made", after=["first"])
    assert files.replay(tmp_path).path("first").joinpath("a").read_text() == "1\n"


def test_what_a_step_starts_ends_with_it(tmp_path):
    mark = f"62.{os.getpid()}"
    assert replayed(tmp_path, f"setsid sleep {mark} > /dev/null 2>&1 &").code == 0
    running = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not any(mark.encode() in line for line in running)


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("exit 3", 3),
        ("kill -9 $$", 137),
        ("kill -TERM $$", 143),
        ("exit 255", 255),
        ("nothing", 127),
    ],
)
def test_exit_codes_are_those_of_a_shell(script, code, tmp_path):
    assert replayed(tmp_path, script).code == code


@pytest.mark.parametrize(
    "script",
    [
        "ln -s /etc/hostname $made",
        "mkdir $made; ln -s /etc/hostname $made/file",
        "mkdir $made; ln -s /etc $made/folder",
        'ln -s /etc "$(dirname $made)/x"; mv "$(dirname $made)/x" $made',
        'folder="$(dirname $made)"; rmdir $folder; ln -s /etc $folder',
        'ln -s /etc/hostname "$(dirname $made)/output_metadata.json"; echo 1 > $made',
    ],
)
def test_links_of_a_step_lead_nowhere_on_this_machine(script, tmp_path):
    files = Files()
    files.add("step", script)
    seen = files.replay(tmp_path)
    assert seen.code == 1 and "got a link" in seen.why
    store = tmp_path / "store"
    assert not [path for path in (store / "minio").rglob("*") if path.is_symlink()]
    assert Path("/etc/hostname").exists()


def test_volumes_and_secrets_are_given_as_on_a_cluster_and_their_values_not_told(tmp_path):
    for name in ("disk/data", "keys"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "disk/data/in").write_text("in")
    (tmp_path / "keys/key.pem").write_text("a key")
    settings = {
        "pvcMount": [{"constant": "disk", "mountPath": "/mnt/data", "subPath": "data"}],
        "secretAsVolume": [{"secretName": "keys", "mountPath": "/keys"}],
        "secretAsEnv": [
            {"secretName": "s", "keyToEnv": [{"secretKey": "k", "envVar": "TOKEN"}]},
            {"secretName": "none", "optional": True,
             "keyToEnv": [{"secretKey": "k", "envVar": "OTHER"}]},
        ],
        "emptyDirMounts": [{"volumeName": "e", "mountPath": "/scratch"}],
        "nodeSelector": {"labels": {"disk": "fast"}},
    }  # fmt: skip
    script = """
    test "$(cat /mnt/data/in)" = in; test "$(cat /keys/key.pem)" = "a key"
    test "$TOKEN" = t0ps3cret; test -z "${OTHER:-}"; test -z "$(ls -A /scratch)"
    echo out > /mnt/data/out; echo x > /scratch/x
    """
    claims = {"disk": tmp_path / "disk", "keys": tmp_path / "keys"}
    seen = replayed(
        tmp_path, script, settings=settings, claims=claims, secrets={("s", "k"): "t0ps3cret"}
    )
    assert seen.code == 0, seen.log("step")
    assert (tmp_path / "disk/data/out").read_text() == "out\n"
    files = [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert files and not any(b"t0ps3cret" in path.read_bytes() for path in files)
    assert "t0ps3cret" not in seen.printed
