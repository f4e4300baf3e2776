"""Keys that versions are signed with: made, read, and refused where they are none."""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from components.errors import ConfigError
from components.storage import paths

PRIVATE, PUBLIC = "signing.key", "signing.pub"
"""Names of the files of a pair."""

_CURVES = ("secp256r1", "secp384r1", "secp521r1")
"""Those that `model-signing` takes: NIST's P-256, P-384 and P-521."""

_FROM_SIGNER = "give the file that whoever signs gives out"
_MAKE = "make a pair with `python -m pipeline keys --to DIR`"
# What `cryptography` raises for bytes that are no key, and for a password too many or too few.
_NO_KEY = (ValueError, TypeError, UnsupportedAlgorithm)


def make_pair(folder: str, password: str | None) -> str:
    """Writes a new pair of keys, ECDSA on the curve P-256, as PEM.

    The private one, PKCS #8, can be read by its owner alone.

    Args:
        folder: made if it is not there, for its owner alone.
        password: that encrypts the private key; None for none.

    Returns:
        What tells the public key from others, see `fingerprint`.

    Raises:
        ConfigError: one of the files is there, or the folder cannot be written.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    encryption = (
        serialization.BestAvailableEncryption(password.encode())
        if password
        else serialization.NoEncryption()
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )
    wanted = {PRIVATE: (private, 0o600), PUBLIC: (pem(key.public_key()), 0o644)}
    made: list[str] = []
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        for name, (content, mode) in wanted.items():
            path = os.path.join(folder, name)
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            made.append(path)
            with open(handle, "wb") as file:
                file.write(content)
            paths.flush(path)
        paths.flush(folder)
    except OSError as error:
        for path in made:  # Half a pair is none.
            os.remove(path)
        raise ConfigError(
            f"expected to write {PRIVATE} and {PUBLIC} to {folder}, over nothing; got "
            f"{error.strerror} ({error.filename}); to fix, give another --to"
        ) from error
    return fingerprint(key.public_key())


def fingerprint(key: ec.EllipticCurvePublicKey) -> str:
    """SHA-256 of a public key as PEM, as signatures of `model-signing` name it."""
    return hashlib.sha256(pem(key)).hexdigest()


def pem(key: ec.EllipticCurvePublicKey) -> bytes:
    """A public key as a file has it."""
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def read_private(path: str, password: str | None) -> ec.EllipticCurvePrivateKey:
    """The private key in a file.

    Args:
        path: of a PEM.
        password: that it is encrypted with; None for none.

    Raises:
        ConfigError: there is none that versions can be signed with.
    """
    expected = f"a private key on {', '.join(_CURVES)} as PEM at {path}"
    content = _read(path, expected, _MAKE)
    try:
        key = serialization.load_pem_private_key(content, password.encode() if password else None)
    except _NO_KEY as error:
        raise _refused(expected, _said(error), _MAKE) from error
    _require_curve(key, ec.EllipticCurvePrivateKey, expected, _MAKE)
    return key


def read_public(path: str) -> ec.EllipticCurvePublicKey:
    """The public key in a file.

    Raises:
        ConfigError: there is none that signatures can be checked with.
    """
    expected = f"a public key on {', '.join(_CURVES)} as PEM at {path}"
    content = _read(path, expected, _FROM_SIGNER)
    try:
        key = serialization.load_pem_public_key(content)
    except _NO_KEY as error:
        raise _refused(expected, _said(error), _FROM_SIGNER) from error
    _require_curve(key, ec.EllipticCurvePublicKey, expected, _FROM_SIGNER)
    return key


def read_certificates(path: str) -> list[x509.Certificate]:
    """The certificates in a file, one or more.

    Raises:
        ConfigError: there are none.
    """
    expected = f"certificates as PEM at {path}"
    content = _read(path, expected, _FROM_SIGNER)
    try:
        return x509.load_pem_x509_certificates(content)
    except _NO_KEY as error:
        raise _refused(expected, _said(error), _FROM_SIGNER) from error


@contextlib.contextmanager
def as_file(certificates: Iterable[x509.Certificate]) -> Iterator[str]:
    """The path of a file with certificates, for a while; files put together need not be one."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "certificates.pem")
        parts = (one.public_bytes(serialization.Encoding.PEM) for one in certificates)
        path.write_bytes(b"".join(parts))
        yield str(path)


def _read(path: str, expected: str, fix: str) -> bytes:
    # A pipe would be waited for, a device never come to an end.
    if os.path.exists(path) and not os.path.isfile(path):
        raise _refused(expected, "no file", fix)
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise _refused(expected, error.strerror, fix) from error


def _require_curve(key: object, kind: type, expected: str, fix: str) -> None:
    if not isinstance(key, kind):
        raise _refused(expected, "a key of another kind", fix)
    if key.curve.name not in _CURVES:
        raise _refused(expected, f"one on {key.curve.name}", fix)


def _refused(expected: str, got: str, fix: str) -> ConfigError:
    return ConfigError(f"expected {expected}; got {got}; to fix, {fix}")


def _said(error: Exception) -> str:
    """The first sentence of what the library says."""
    return str(error).split(". ")[0].split("\n")[0].strip(" .") or type(error).__name__
