"""`keys` and `verify` as a person types them, and OpenSSF's own command beside them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from components.runtime import Signing
from components.serving import models_config
from components.serving.signing import keys
from components.serving.signing.files import SIGNATURE_FILE
from tests.components.serving.signing.conftest import make_certificates, pushed
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.slow
HEAVY = re.compile(r"\| +(tensorflow|keras|tfx|apache_beam)$", re.M)
MODEL_SIGNING = Path(sys.executable).with_name("model_signing")


def run(*words, cwd: Path = REPOSITORY, **environment) -> subprocess.CompletedProcess:
    """Runs a verb, which must need no TensorFlow."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "pipeline", *map(str, words)],
        cwd=cwd, env=os.environ | {"PYTHONPATH": str(REPOSITORY)} | environment,
        capture_output=True, text=True,
    )  # fmt: skip
    assert not HEAVY.findall(done.stderr) and "Traceback" not in done.stderr, done.stderr
    return done


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """With the pair `keys`, and in `serving/deeplab` a version that it signed."""
    folder = tmp_path_factory.mktemp("output")
    keys.make_pair(str(folder / "keys"), None)
    return folder


@pytest.fixture(scope="module")
def signed(folder) -> str:
    signing = Signing(private_key=str(folder / "keys" / keys.PRIVATE))
    version = pushed(folder, signing)
    number = int(os.path.basename(version))
    models_config.label(str(folder / "serving" / "deeplab"), number, models_config.STABLE)
    return version


@pytest.fixture
def tampered(signed, tmp_path) -> str:
    copy = tmp_path / os.path.basename(signed)
    shutil.copytree(signed, copy)
    (copy / "variables" / "data").write_bytes(b"WEIGHTS")
    return str(copy)


def test_the_served_version_is_verified_by_number_label_and_path(folder, signed):
    public = folder / "keys" / keys.PUBLIC
    known = keys.fingerprint(keys.read_public(str(public)))
    for words in ([], [os.path.basename(signed)], ["stable"], [signed], [f"{signed}/"]):
        done = run("verify", *words, "--output", folder, "--public-key", public)
        assert done.returncode == 0, done.stdout
        assert f"Version {os.path.basename(signed)}, {signed}\n" in done.stdout
        assert f"holds: the key {known[:16]}" in done.stdout and "FAULT" not in done.stdout


def test_a_folder_of_another_name_is_no_number(signed, tmp_path):
    shutil.copytree(signed, tmp_path / "copy")
    public = Path(signed).parents[2] / "keys" / keys.PUBLIC
    done = run("verify", "copy", "--public-key", public, cwd=tmp_path)
    assert done.returncode == 5
    assert f"FAULT: the signature: it is that of version {os.path.basename(signed)}" in done.stdout


def test_a_changed_version_ends_with_5_and_everything_that_is_wrong(folder, tampered):
    done = run("verify", tampered, "--public-key", folder / "keys" / keys.PUBLIC)
    assert done.returncode == 5
    assert done.stdout.count("FAULT") >= 3
    assert "FAULT: variables/data was changed" in done.stdout
    assert "Not verified: expected version" in done.stdout and "to fix" in done.stdout


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ([], 2, "expected whose signature is to be taken; got none, and one of the key "),
        (["--public-key", "/nowhere"], 2, "as PEM at /nowhere; got No such file or directory; to"),
        (["--public-key", "{folder}/keys/signing.key"], 2, "expected a public key on secp256r1"),
        (["--certificate-chain", "/nowhere"], 2, "expected certificates as PEM at /nowhere; got"),
        (["--identity", "me@example.org"], 2, "expected --identity and --issuer together"),
        (["7", "--public-key", "{public}"], 2, ", stable; got 7; to fix, choose one by"),
        (["./7", "--public-key", "{public}"], 2, "expected the folder of a version; got "),
        (["--output", "/nowhere"], 2, "expected versions in /nowhere/serving/deeplab; got none"),
        (
            ["--certificate-chain", "{folder}/ca/root.pem"],
            5,
            "it is of another kind than one ",
        ),
        (["--public-key", "{folder}/other/signing.pub"], 5, "FAULT: the signature: it is not one"),
    ],
)
def test_what_is_not_there_and_who_it_is_not_are_told_apart(
    words, code, message, folder, signed, tmp_path_factory
):
    if not (folder / "other").exists():
        keys.make_pair(str(folder / "other"), None)
        (folder / "ca").mkdir()
        make_certificates(folder / "ca")
    known = {"folder": folder, "public": folder / "keys" / keys.PUBLIC}
    done = run("verify", "--output", folder, *(word.format(**known) for word in words))
    assert (done.returncode, message in done.stdout) == (code, True), done.stdout


def test_an_unsigned_version_is_said_to_be_one(tmp_path):
    version = pushed(tmp_path, None)
    done = run("verify", "--output", tmp_path)
    assert done.returncode == 0 and "unknown: it is not signed" in done.stdout
    keys.make_pair(str(tmp_path / "keys"), None)
    public = tmp_path / "keys" / keys.PUBLIC
    assert run("verify", version, "--public-key", public).returncode == 5
    Path(version, "saved_model.pb").write_bytes(b"Graph")
    assert run("verify", version).returncode == 5


def test_keys_are_made_once_and_what_is_printed_signs_a_push(tmp_path):
    done = run("keys", "--to", tmp_path / "keys", "--password", "PW", PW="secret")
    assert done.returncode == 0 and "secret" not in done.stdout
    toml = 'root = "output"\n' + re.search(r"\[signing\]\n(?:.+\n)+", done.stdout)[0]
    (tmp_path / "mine.toml").write_text(toml)
    again = run("keys", "--to", tmp_path / "keys")
    assert again.returncode == 2 and "got File exists" in again.stdout
    script = (
        "import sys; from pipeline import environment, door;"
        "from components.serving import pushing, versions;"
        "place = environment.load('mine.toml').made_absolute(); door.require_signing_key(place);"
        "known = versions.Provenance(made_from='a', pipeline='p', pushed_at='2026-01-02');"
        "print(pushing.push('model', 'output/serving/deeplab', {}, known, signing=place.signing))"
    )
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "saved_model.pb").write_bytes(b"graph")
    subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(REPOSITORY), "PW": "secret"}, check=True,
    )  # fmt: skip
    public = tmp_path / "keys" / keys.PUBLIC
    assert run("verify", "--public-key", public, cwd=tmp_path).returncode == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--password", "hunter2"], "expected --password to be the name of an environment"),
        (["--to", "/dev/null/x"], "expected to write signing.key and signing.pub to /dev/null/x"),
    ],
)
def test_keys_that_cannot_be_made_are_said(words, message, tmp_path):
    done = run("keys", "--to", tmp_path / "keys", *words)
    assert done.returncode == 2 and message in done.stdout and "hunter2" not in done.stdout
    assert not (tmp_path / "keys").exists()


# === OpenSSF's own command ===


def model_signing(version: str, *words) -> int:
    done = subprocess.run(
        [MODEL_SIGNING, "verify", words[0], version, "--signature", f"{version}/{SIGNATURE_FILE}",
         "--no-ignore-git-paths", *map(str, words[1:])],
        capture_output=True, text=True,
    )  # fmt: skip
    return done.returncode


def test_the_command_of_model_signing_agrees(folder, signed, tampered):
    public = folder / "keys" / keys.PUBLIC
    assert model_signing(signed, "key", "--public_key", public) == 0
    assert model_signing(tampered, "key", "--public_key", public) == 1
    Path(tampered, "variables", "data").write_bytes(b"weights")
    assert model_signing(tampered, "key", "--public_key", public) == 0
    Path(tampered, ".gitignore").write_text("*")
    assert model_signing(tampered, "key", "--public_key", public) == 1


def test_the_command_agrees_of_certificates(tmp_path):
    signing = make_certificates(tmp_path)
    version = pushed(tmp_path, signing)
    words = ("certificate", "--certificate_chain", tmp_path / "root.pem")
    assert model_signing(version, *words) == 0
    assert run("verify", version, "--certificate-chain", tmp_path / "root.pem").returncode == 0
    Path(version, "saved_model.pb").write_bytes(b"Graph")
    assert model_signing(version, *words) == 1
    assert run("verify", version, "--certificate-chain", tmp_path / "root.pem").returncode == 5


def test_a_signature_that_the_command_made_over_all_files_but_itself_is_taken(folder, tmp_path):
    """By another tool and the same key, as long as it says of the very number and all files."""
    version = pushed(tmp_path, Signing(private_key=str(folder / "keys" / keys.PRIVATE)))
    public = folder / "keys" / keys.PUBLIC
    os.remove(f"{version}/{SIGNATURE_FILE}")
    sign = [MODEL_SIGNING, "sign", "key", version, "--signature", f"{version}/{SIGNATURE_FILE}",
            "--private_key", folder / "keys" / keys.PRIVATE]  # fmt: skip
    subprocess.run([*sign, "--no-ignore-git-paths"], check=True, capture_output=True)
    assert run("verify", version, "--public-key", public).returncode == 0
    ignored = ["--ignore-paths", f"{version}/variables"]
    subprocess.run([*sign, *ignored], check=True, capture_output=True)
    done = run("verify", version, "--public-key", public)
    assert done.returncode == 5 and "it leaves files out" in done.stdout
