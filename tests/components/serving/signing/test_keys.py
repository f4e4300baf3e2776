"""Keys: made once, for their owner alone; what is no key is refused before anything is done."""

import os
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from components.errors import ConfigError, DownloadFailedError
from components.runtime import Signing
from components.serving.signing import keys, signature, signer
from tests.components.serving.signing.conftest import make_certificates, write_key


def test_a_pair_belongs_together_and_only_its_owner_reads_the_private_one(tmp_path):
    folder = tmp_path / "new" / "keys"
    before = os.umask(0)
    try:
        known = keys.make_pair(str(folder), None)
    finally:
        os.umask(before)
    private = keys.read_private(str(folder / keys.PRIVATE), None)
    public = keys.read_public(str(folder / keys.PUBLIC))
    signed = private.sign(b"text", ec.ECDSA(hashes.SHA256()))
    public.verify(signed, b"text", ec.ECDSA(hashes.SHA256()))
    assert known == keys.fingerprint(public) and len(known) == 64
    assert stat.S_IMODE((folder / keys.PRIVATE).stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("there", [keys.PRIVATE, keys.PUBLIC])
def test_nothing_is_overwritten_and_half_a_pair_is_not_left(there, tmp_path):
    (tmp_path / there).write_text("mine")
    with pytest.raises(ConfigError, match="over nothing; got File exists"):
        keys.make_pair(str(tmp_path), None)
    assert os.listdir(tmp_path) == [there] and (tmp_path / there).read_text() == "mine"


def test_a_password_is_asked_for_and_only_the_right_one_taken(tmp_path):
    keys.make_pair(str(tmp_path), "pässword")
    path = str(tmp_path / keys.PRIVATE)
    assert b"ENCRYPTED" in (tmp_path / keys.PRIVATE).read_bytes()
    assert keys.read_private(path, "pässword")
    for wrong in (None, "password"):
        with pytest.raises(ConfigError, match="expected a private key on"):
            keys.read_private(path, wrong)
    keys.make_pair(str(tmp_path / "plain"), None)
    with pytest.raises(ConfigError, match="expected a private key on"):
        keys.read_private(str(tmp_path / "plain" / keys.PRIVATE), "password")


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()])
def test_keys_of_other_tools_are_taken(curve, tmp_path):
    assert keys.read_private(write_key(tmp_path / "key", ec.generate_private_key(curve)), None)


OTHERS = {
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "bitcoin's curve": lambda: ec.generate_private_key(ec.SECP256K1()),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_keys_that_model_signing_does_not_take_are_refused(kind, tmp_path):
    key = OTHERS[kind]()
    path = write_key(tmp_path / "key", key)
    with pytest.raises(ConfigError, match=r"expected a private key on secp256r1.*; to fix, make"):
        keys.read_private(path, None)
    public = tmp_path / "public"
    public.write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    with pytest.raises(ConfigError, match=r"expected a public key on secp256r1.*; to fix, give"):
        keys.read_public(str(public))


def not_a_key(folder) -> dict[str, str]:
    keys.make_pair(str(folder / "pair"), None)
    content = (folder / "pair" / keys.PRIVATE).read_bytes()
    made = {"empty": b"", "text": b"hello", "bytes": bytes(range(256)), "half": content[:100]}
    for name, content in made.items():
        (folder / name).write_bytes(content)
    os.mkfifo(folder / "pipe")
    return {name: str(folder / name) for name in (*made, "pipe", "pair", "gone")} | {
        "device": "/dev/zero"
    }


def test_what_is_no_key_is_refused(tmp_path):
    for path in not_a_key(tmp_path).values():
        for read in (lambda path: keys.read_private(path, None), keys.read_public,
                     keys.read_certificates):  # fmt: skip
            with pytest.raises(ConfigError, match=r"^expected .*; got .+; to fix, "):
                read(path)
    pair = tmp_path / "pair"
    with pytest.raises(ConfigError):
        keys.read_private(str(pair / keys.PUBLIC), None)
    with pytest.raises(ConfigError):
        keys.read_public(str(pair / keys.PRIVATE))


def test_openssl_reads_the_pair(tmp_path):
    keys.make_pair(str(tmp_path), None)
    for words in (["ec", "-check", "-in", keys.PRIVATE], ["ec", "-pubin", "-in", keys.PUBLIC]):
        subprocess.run(["openssl", *words], cwd=tmp_path, check=True, capture_output=True)


# === What is refused before a run ===


def test_a_variable_that_is_not_set_is_not_named(tmp_path, monkeypatch):
    """Somebody may have written the secret itself in its place."""
    keys.make_pair(str(tmp_path), "secret")
    monkeypatch.delenv("hunter2", raising=False)
    private = str(tmp_path / keys.PRIVATE)
    for wanted in (Signing(private_key=private, password="hunter2"),
                   Signing(identity_token="hunter2")):  # fmt: skip
        with pytest.raises(ConfigError, match="the environment variable that signing") as caught:
            signer.require_key(wanted)
        assert "hunter2" not in str(caught.value)
    monkeypatch.setenv("hunter2", "secret")
    signer.require_key(Signing(private_key=private, password="hunter2"))


def test_sigstore_out_of_reach_is_said(tmp_path, monkeypatch):
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("TOKEN", "token")
    (tmp_path / "7" / "assets.extra").mkdir(parents=True)
    (tmp_path / "7" / "file").write_text("text")
    for call in (
        lambda: signature.by_identity("me@example.org", "https://accounts.example.org"),
        lambda: signer.sign(str(tmp_path / "7"), Signing(identity_token="TOKEN")),
    ):
        with pytest.raises(DownloadFailedError, match="expected an answer of Sigstore's services"):
            call()
    assert os.listdir(tmp_path / "7" / "assets.extra") == []


def test_a_certificate_is_that_of_the_key_and_the_chain_in_order(tmp_path):
    wanted = make_certificates(tmp_path)
    signer.require_key(wanted)
    middle, root = wanted.chain
    with pytest.raises(ConfigError, match=r"signing.chain up to its root; .* complete the"):
        signer.require_key(wanted.model_copy(update={"chain": (middle,)}))
    for path in (middle, root):  # As some editors leave files, without an end of the last line.
        Path(path).write_bytes(Path(path).read_bytes().strip())
    signer.require_key(wanted)
    for chain in ((root, middle), (root,), (wanted.certificate,)):
        with pytest.raises(ConfigError, match="each the issuer of the one before"):
            signer.require_key(wanted.model_copy(update={"chain": chain}))
    with pytest.raises(ConfigError, match="got that of another key"):
        signer.require_key(wanted.model_copy(update={"certificate": middle}))
    with pytest.raises(ConfigError, match=r"expected signing.certificate for signatures"):
        # An authority's own, which is for certificates alone.
        signer.require_key(
            Signing(private_key=str(tmp_path / "root.key"), certificate=root, chain=(root,))
        )


@pytest.mark.parametrize(
    "values",
    [{}, {"private_key": "k", "identity_token": "T"}, {"certificate": "c"}, {"chain": ("c",)},
     {"private_key": "k", "certificate": "c"},
     {"private_key": "k", "chain": ("c",)}, {"identity_token": "T", "password": "P"},
     {"private_key": "k", "certificate": "c", "password": "P"}, {"private_key": "k", "other": 1},
     {"private_key": "k", "password": "not a name"}],
)  # fmt: skip
def test_what_does_not_go_together_is_refused(values):
    with pytest.raises(ValueError):
        Signing(**values)
