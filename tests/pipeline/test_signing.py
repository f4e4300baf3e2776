"""With what is signed is said by the environment, reaches the steps, and is no secret itself."""

import os
from pathlib import Path

import pytest

from components import runtime
from components.errors import ConfigError
from components.runtime import Signing
from components.serving.signing import keys
from pipeline import door, environment
from pipeline.environment import Environment


def load(folder: Path, signing: str, **values: str) -> Environment:
    lines = [f'{name} = "{value}"' for name, value in ({"root": "/root"} | values).items()]
    path = folder / "mine.toml"
    path.write_text("\n".join([*lines, "[signing]", signing]))
    return environment.load(str(path))


def refusal(folder: Path, signing: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(folder, signing)
    return str(caught.value)


def test_nothing_is_signed_where_nobody_says_with_what():
    for name in environment.available():
        assert environment.load(name).signing is None
        assert environment.load(name).runtime().signing is None


def test_it_reaches_the_steps_with_paths_in_full(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = 'private_key = "{root}/key"\ncertificate = "near.pem"\nchain = ["~/above.pem", "/a.pem"]'
    place = load(tmp_path, text).made_absolute()
    expected = Signing(
        private_key="/root/key",
        certificate=f"{tmp_path}/near.pem",
        chain=(os.path.expanduser("~/above.pem"), "/a.pem"),
    )
    with place.runtime().handed_on():
        assert runtime.current().signing == place.signing == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected signing with either private_key or identity_token; got neither"),
        ('private_key = "k"\nidentity_token = "T"', "got both; to fix, give one of them"),
        ('certificate = "c"\nidentity_token = "T"', "expected signing.certificate beside priv"),
        ('private_key = "k"\nchain = ["c"]', "expected signing.certificate and signing.chain tog"),
        ('private_key = "gs://b/k"', "expected signing.private_key to be a file that the steps"),
        ('private_key = "k"\ncertificate = "c"\nchain = ["s3://b"]', "expected signing.chain[0]"),
        ('private_key = 3', "expected signing.private_key to be valid in"),
        ('key = "k"', "expected signing.key to be valid in"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_refused(tmp_path, text, message):
    said = refusal(tmp_path, text)
    assert message in said and "to fix" in said


@pytest.mark.parametrize("field", ["password", "identity_token"])
def test_a_secret_in_place_of_a_variable_is_refused_and_not_said(tmp_path, field):
    key = 'private_key = "k"\n' if field == "password" else ""
    said = refusal(tmp_path, f'{key}{field} = "hunter-2!"')
    assert f"expected signing.{field} to be the name of an environment variable" in said
    assert "hunter" not in said


def test_the_door_lets_a_key_in_and_nothing_else(tmp_path):
    door.require_signing_key(environment.load("local"))
    keys.make_pair(str(tmp_path / "keys"), None)
    place = load(tmp_path, f'private_key = "{tmp_path}/keys/{keys.PRIVATE}"')
    door.require_signing_key(place)
    Path(place.signing.private_key).write_text("no key")
    with pytest.raises(ConfigError, match=r"expected a private key on .*; to fix, make a pair"):
        door.require_signing_key(place)
