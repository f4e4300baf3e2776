"""Signatures of versions by OpenSSF's `model-signing`, checked down to the last byte.

A signature is a Sigstore bundle: an in-toto statement with the hash of every file of the version
and with the version's number. The bundle is JSON, of which other bytes could say the same; here
only those that `model-signing` writes are taken, with nothing in them that is not signed itself.
"""

import base64
import dataclasses
import itertools
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from model_signing import verifying

from components.errors import DownloadFailedError
from components.serving.signing import keys
from components.serving.signing.files import SIGNATURE_FILE, differences, shown

_SERIALIZATION = {
    "method": "files",
    "hash_type": "sha256",
    "allow_symlinks": False,
    "ignore_paths": [SIGNATURE_FILE],
}

KEY, CHAIN, SIGSTORE = "publicKey", "x509CertificateChain", "certificate"
"""What a bundle has as its verification material, by the kind of signature."""


class SignatureError(Exception):
    """What is wrong with a signature; a clause without a full stop."""


@dataclasses.dataclass(frozen=True, slots=True)
class Verifier:
    """Whose signatures are taken."""

    config: verifying.Config
    kind: str
    """What a bundle of theirs has as its verification material."""
    name: str
    """For people."""
    trusted: tuple[x509.Certificate, ...] = ()
    """Certificates that one is to lead to; empty for other kinds of signatures."""


def by_public_key(path: str) -> Verifier:
    """Takes signatures of one key.

    Raises:
        ConfigError: there is no such key.
    """
    known = keys.fingerprint(keys.read_public(path))
    config = verifying.Config().use_elliptic_key_verifier(public_key=path)
    return Verifier(config, KEY, f"the key {known[:16]}… ({path})")


def by_certificates(paths: Sequence[str]) -> Verifier:
    """Takes signatures of keys whose certificates lead to one of these.

    Raises:
        ConfigError: there are none.
    """
    trusted = tuple(one for path in paths for one in keys.read_certificates(path))
    with keys.as_file(trusted) as path:
        config = verifying.Config().use_certificate_verifier(certificate_chain=[path])
    return Verifier(config, CHAIN, f"a key with a certificate under {', '.join(paths)}", trusted)


def by_identity(identity: str, issuer: str) -> Verifier:
    """Takes signatures that Sigstore gave out for somebody.

    Args:
        identity: an address of mail, or of a workflow.
        issuer: who says so, the address of an OpenID Connect provider.

    Raises:
        DownloadFailedError: Sigstore's roots of trust can be neither fetched nor found.
    """
    try:
        config = verifying.Config().use_sigstore_verifier(identity=identity, oidc_issuer=issuer)
    except Exception as error:  # Whatever its clients of HTTP and TUF raise.
        raise no_sigstore(error) from error
    return Verifier(config, SIGSTORE, f"{identity}, as {issuer} says")


def signer_of(version: str) -> str:
    """Whose a signature claims to be, unchecked, for people.

    Raises:
        SignatureError: it cannot be read.
    """
    material = _read(version)["verificationMaterial"]
    if KEY in material:
        return f"the key {shown(material[KEY]['hint'][:16])}…"
    return "a key with a certificate"


def check(version: str, digests: dict[str, str], verifier: Verifier) -> None:
    """Checks the signature of a version.

    Args:
        version: a folder of this machine; its name is the number.
        digests: of all files in it, see `files.survey`.
        verifier: whose signatures are taken.

    Raises:
        SignatureError: it is not theirs, or not of this very version.
    """
    bundle = _read(version)
    if verifier.kind not in bundle["verificationMaterial"]:
        raise SignatureError(f"it is of another kind than one of {verifier.name}")
    try:
        verifier.config.verify(version, os.path.join(version, SIGNATURE_FILE))
    except Exception as error:  # Garbled bundles make the libraries raise all kinds.
        raise SignatureError(
            f"it is not one of {verifier.name} over these files: {said(error)}"
        ) from error
    if verifier.trusted:
        _require_chain(bundle, verifier.trusted)
    statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    predicate = statement["predicate"]
    number = os.path.basename(version)
    if statement["subject"][0]["name"] != number:
        raise SignatureError(f"it is that of version {statement['subject'][0]['name']}")
    if predicate["serialization"] != _SERIALIZATION:
        raise SignatureError("it leaves files out")
    signed = {each["name"]: each["digest"] for each in predicate["resources"]}
    found = {name: digest for name, digest in digests.items() if name != SIGNATURE_FILE}
    wrong = differences(signed, found)
    if wrong:
        raise SignatureError("; ".join(wrong))


def _read(version: str) -> dict[str, Any]:
    """The bundle, if it is byte for byte as `model-signing` writes it."""
    try:
        text = Path(version, SIGNATURE_FILE).read_bytes().decode()
        bundle = json.loads(text)
        envelope, material = bundle["dsseEnvelope"], bundle["verificationMaterial"]
        (signature,) = envelope["signatures"]
        encoded = [envelope["payload"], signature["sig"]]
        kinds = material.keys() - {"tlogEntries"}
        if kinds == {KEY}:
            expected = {KEY: {"hint": str(material[KEY]["hint"])}}
        elif kinds == {CHAIN}:
            chain = [one["rawBytes"] for one in material[CHAIN]["certificates"]]
            encoded += chain
            certificates = [{"rawBytes": one} for one in chain]
            expected = {CHAIN: {"certificates": certificates}}
        else:  # Sigstore's own, all of which its library checks.
            expected = None
        if expected is not None:
            bundle = {
                "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
                "verificationMaterial": {**expected, "tlogEntries": []},
                "dsseEnvelope": {
                    "payload": envelope["payload"],
                    "payloadType": "application/vnd.in-toto+json",
                    "signatures": [{"sig": signature["sig"], "keyid": ""}],
                },
            }
        is_canonical = text == json.dumps(bundle, separators=(",", ":"), ensure_ascii=False)
        is_canonical = is_canonical and all(
            base64.b64encode(base64.b64decode(one)).decode() == one for one in encoded
        )
    except OSError as error:
        raise SignatureError(f"it cannot be read ({error.strerror})") from error
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise SignatureError("it is no bundle of Sigstore's") from error
    if not is_canonical:
        raise SignatureError("its bytes are not as they were written")
    return bundle


def _require_chain(bundle: dict[str, Any], trusted: Sequence[x509.Certificate]) -> None:
    """Refuses certificates that vouch for nothing: nobody would see that they were changed."""
    encoded = bundle["verificationMaterial"][CHAIN]["certificates"]
    chain = [x509.load_der_x509_certificate(base64.b64decode(one["rawBytes"])) for one in encoded]
    is_led = all(is_issued_by(lower, upper) for lower, upper in itertools.pairwise(chain))
    if not is_led or not any(chain[-1] == one or is_issued_by(chain[-1], one) for one in trusted):
        raise SignatureError("its certificates do not lead to one that is trusted")


def is_issued_by(lower: x509.Certificate, upper: x509.Certificate) -> bool:
    """Whether a certificate has the signature of the one above it."""
    try:
        lower.verify_directly_issued_by(upper)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def no_sigstore(error: Exception) -> DownloadFailedError:
    """What Sigstore's clients raise, for people."""
    return DownloadFailedError(
        f"expected an answer of Sigstore's services; got {type(error).__name__}: {said(error)}; "
        "to fix, see whether this machine reaches them, and whether a token is a fresh one"
    )


def said(error: Exception) -> str:
    """The first line of what a library says."""
    return str(error).split("\n")[0].strip(" .") or type(error).__name__
