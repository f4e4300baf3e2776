"""Whatever is changed of a version, be it one byte, is seen; what nobody has changed holds."""

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from components.serving.signing import keys, signature, verification
from components.serving.signing.files import SIGNATURE_FILE
from components.storage import paths
from tests.components.serving.signing.conftest import pushed

KINDS = ("key", "certificate", "unsigned")
CHANGES = 300
SIGNATURE_CHANGES = 1500


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("pushed")


@pytest.fixture(scope="module")
def versions_by_kind(folder, signing, certified) -> dict[str, str]:
    found = {"key": signing, "certificate": certified, "unsigned": None}
    return {kind: pushed(folder, how) for kind, how in found.items()}


@pytest.fixture(scope="module")
def verifiers(pair, authority) -> dict[str, signature.Verifier | None]:
    return {
        "key": signature.by_public_key(str(pair / keys.PUBLIC)),
        "certificate": signature.by_certificates([str(authority / "root.pem")]),
        "unsigned": None,
    }


@pytest.fixture
def copy(tmp_path) -> Callable[[str], Path]:
    """Copies a version, under its own number."""

    def copy(version: str) -> Path:
        target = tmp_path / os.path.basename(version)
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(version, target)
        return target

    return copy


def files_of(version: str) -> list[str]:
    root = Path(version)
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def changed(content: bytes, rng: random.Random) -> bytes:
    """With one byte replaced, put in or taken out; those that JSON does not see more often."""
    at = rng.randrange(len(content))
    byte = bytes([rng.choice([rng.randrange(256), *b' \n\t\r"0'])])
    how = rng.choice(("replaced", "put in", "taken out", "appended"))
    if how == "replaced":
        new = content[:at] + byte + content[at + 1 :]
    elif how == "put in":
        new = content[:at] + byte + content[at:]
    elif how == "taken out":
        new = content[:at] + content[at + 1 :]
    else:
        new = content + byte
    return new if new != content else bytes([content[0] ^ 1]) + content[1:]


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_pushed_holds(kind, versions_by_kind, verifiers, copy):
    for version in (versions_by_kind[kind], str(copy(versions_by_kind[kind]))):
        found = verification.examine(version, verifiers[kind])
        assert found.faults == ()
        assert len(found.holds) == (3 if kind == "unsigned" else 4)
        assert len(found.unknown) == (kind == "unsigned")


@pytest.mark.parametrize("kind", KINDS)
def test_one_byte_of_any_file_is_seen(kind, versions_by_kind, verifiers, copy):
    version = copy(versions_by_kind[kind])
    rng = random.Random(kind)
    names = files_of(version)
    seen = set()
    for index in range(CHANGES):
        name = names[index % len(names)]
        content = (version / name).read_bytes()
        (version / name).write_bytes(changed(content, rng))
        found = verification.examine(str(version), verifiers[kind])
        assert found.faults, (name, index)
        (version / name).write_bytes(content)
        seen.add(name)
    assert seen == set(names)
    assert verification.examine(str(version), verifiers[kind]).faults == ()


@pytest.mark.parametrize("kind", ["key", "certificate"])
def test_one_byte_of_the_signature_is_seen(kind, versions_by_kind, verifiers, copy):
    version = copy(versions_by_kind[kind])
    rng = random.Random(kind)
    content = (version / SIGNATURE_FILE).read_bytes()
    digests = verification.survey(str(version)).digests
    for _ in range(SIGNATURE_CHANGES):
        new = changed(content, rng)
        (version / SIGNATURE_FILE).write_bytes(new)
        with pytest.raises(signature.SignatureError):
            signature.check(str(version), digests, verifiers[kind])
    (version / SIGNATURE_FILE).write_bytes(content)
    signature.check(str(version), digests, verifiers[kind])


def replace_by_link(version: Path) -> None:
    file = version / "variables" / "data"
    file.rename(version.parent / "elsewhere")
    file.symlink_to(version.parent / "elsewhere")


def replace_by_linked_folder(version: Path) -> None:
    (version / "variables").rename(version.parent / "elsewhere")
    (version / "variables").symlink_to(version.parent / "elsewhere")


def swap(version: Path) -> None:
    one, other = version / "saved_model.pb", version / "variables" / "data"
    one.rename(version / "third")
    other.rename(one)
    (version / "third").rename(other)


STRUCTURE = {
    "added": lambda v: (v / "variables" / "data-2").write_bytes(b""),
    "added and hidden from git": lambda v: (v / ".gitignore").write_text("*"),
    "a repository added": lambda v: shutil.copytree(v / "variables", v / ".git"),
    "added beside the signature": lambda v: (v / "assets.extra" / "model.sig.old").write_text(""),
    "added with a name that is no text": lambda v: Path(os.fsdecode(os.fsencode(v) + b"/\xff\n"))
    .write_bytes(b"x"),
    "missing": lambda v: (v / "variables" / "data").unlink(),
    "renamed": lambda v: (v / "variables" / "data").rename(v / "variables" / "Data"),
    "moved": lambda v: (v / "variables" / "data").rename(v / "data"),
    "folder renamed": lambda v: (v / "variables").rename(v / "variable"),
    "folder missing": lambda v: shutil.rmtree(v / "variables"),
    "swapped": swap,
    "empty folder": lambda v: (v / "assets").mkdir(),
    "empty folders": lambda v: (v / "assets" / "a").mkdir(parents=True),
    "link in place of a file": replace_by_link,
    "link in place of a folder": replace_by_linked_folder,
    "link added": lambda v: (v / "more").symlink_to("saved_model.pb"),
    "broken link added": lambda v: (v / "more").symlink_to("nowhere"),
    "pipe added": lambda v: os.mkfifo(v / "pipe"),
    "file in place of a folder": lambda v: (
        shutil.rmtree(v / "variables"), (v / "variables").write_bytes(b"")
    ),
    "attestation gone": lambda v: (v / "assets.extra" / "attestation.intoto.json").unlink(),
    "bill gone": lambda v: (v / "assets.extra" / "bom.cdx.json").unlink(),
    "provenance gone": lambda v: (v / "assets.extra" / "provenance.json").unlink(),
}  # fmt: skip


@pytest.mark.parametrize("change", STRUCTURE)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_added_gone_or_moved_is_seen(kind, change, versions_by_kind, verifiers, copy):
    version = copy(versions_by_kind[kind])
    STRUCTURE[change](version)
    found = verification.examine(str(version), verifiers[kind])
    assert found.faults
    assert all(sentence.isprintable() for sentence in found.faults)


@pytest.mark.parametrize("kind", ["key", "certificate"])
def test_a_signature_that_is_gone_is_seen_whoever_asks(kind, versions_by_kind, verifiers, copy):
    version = copy(versions_by_kind[kind])
    (version / SIGNATURE_FILE).unlink()
    for verifier in (verifiers[kind], None):
        assert verification.examine(str(version), verifier).faults == ("its signature is gone",)


def test_a_version_without_a_signature_is_not_one_of_somebody(versions_by_kind, verifiers):
    (fault,) = verification.examine(versions_by_kind["unsigned"], verifiers["key"]).faults
    assert fault.startswith("it is not signed")


@pytest.mark.parametrize("kind", ["key", "certificate"])
def test_under_another_number_a_signature_is_that_of_another_version(
    kind, versions_by_kind, verifiers, copy
):
    version = copy(versions_by_kind[kind])
    other = version.rename(version.with_name("99999999999"))
    (fault,) = verification.examine(str(other), verifiers[kind]).faults
    assert fault == f"the signature: it is that of version {version.name}"
    link = version.with_name("7")
    link.symlink_to(other)
    assert "the version itself is a link" in verification.examine(str(link), None).faults


@pytest.mark.parametrize(
    ("kind", "others"), [("key", "certificate"), ("certificate", "key"), ("key", "unsigned")]
)
def test_signatures_of_others_are_not_taken(kind, others, versions_by_kind, verifiers, copy):
    """Of equal models: what differs are the numbers and the times at which they were pushed."""
    version = copy(versions_by_kind[kind])
    stolen = Path(versions_by_kind[others], SIGNATURE_FILE)
    if stolen.exists():
        shutil.copy(stolen, version / SIGNATURE_FILE)
    else:
        version = copy(versions_by_kind[others])
        shutil.copy(Path(versions_by_kind[kind], SIGNATURE_FILE), version / SIGNATURE_FILE)
    for verifier in (verifiers["key"], verifiers["certificate"]):
        assert verification.examine(str(version), verifier).faults


def test_another_versions_signature_of_the_same_key_is_not_taken(
    folder, signing, versions_by_kind, verifiers, copy
):
    other = pushed(folder, signing, b"other weights")
    version = copy(versions_by_kind["key"])
    shutil.copy(Path(other, SIGNATURE_FILE), version / SIGNATURE_FILE)
    (fault,) = verification.examine(str(version), verifiers["key"]).faults
    assert "variables/data" in fault


@pytest.mark.parametrize("length", [0, 1, 10, 100, 1000, -1])
def test_half_a_signature_is_none(length, versions_by_kind, verifiers, copy):
    version = copy(versions_by_kind["key"])
    content = (version / SIGNATURE_FILE).read_bytes()
    (version / SIGNATURE_FILE).write_bytes(content[:length])
    assert verification.examine(str(version), verifiers["key"]).faults


@pytest.mark.parametrize(
    "content",
    [b"null", b"[]", b"{}", b'"x"', b"[" * 100_000, b"\xff\xfe", b'{"dsseEnvelope": 1}',
     b'{"dsseEnvelope": {"signatures": []}, "verificationMaterial": {}}'],
)  # fmt: skip
def test_what_is_no_signature_attestation_or_bill_is_said(
    content, versions_by_kind, verifiers, copy
):
    for name in ("model.sig", "attestation.intoto.json", "bom.cdx.json", "provenance.json"):
        version = copy(versions_by_kind["key"])
        (version / "assets.extra" / name).write_bytes(content)
        faults = verification.examine(str(version), verifiers["key"]).faults
        assert faults and not any("gone" in fault for fault in faults)


def test_another_key_or_authority_is_not_the_one(versions_by_kind, authority, tmp_path, pair, copy):
    keys.make_pair(str(tmp_path / "other"), None)
    other = signature.by_public_key(str(tmp_path / "other" / keys.PUBLIC))
    assert verification.examine(versions_by_kind["key"], other).faults
    for name in ("signer", "middle"):  # They are led to, and lead nowhere without the root.
        trusted = signature.by_certificates([str(authority / f"{name}.pem")])
        assert verification.examine(versions_by_kind["certificate"], trusted).faults


def test_a_version_in_a_store_is_verified_too(folder, signing, verifiers, copy, tmp_path):
    version = copy(pushed(folder, signing))
    remote = f"ram://verified/deeplab/{version.name}"
    paths.copy_tree(str(version), remote)
    assert verification.examine(remote, verifiers["key"]).faults == ()
    paths.write_bytes(f"{remote}/variables/data", b"WEIGHTS")
    assert verification.examine(remote, verifiers["key"]).faults


def test_what_older_code_pushed_is_said_to_be_of_that_time(folder, copy):
    version = copy(pushed(folder, None))
    extra = version / "assets.extra"
    for name in ("attestation.intoto.json", "bom.cdx.json"):
        (extra / name).unlink()
    known = json.loads((extra / "provenance.json").read_text())
    del known["attested"], known["signed"]
    (extra / "provenance.json").write_text(json.dumps(known))
    found = verification.examine(str(version), None)
    assert found.faults == () and len(found.holds) == 1 and len(found.unknown) == 3
    (version / "variables" / "data").write_bytes(b"WEIGHTS")
    assert verification.examine(str(version), None).faults
