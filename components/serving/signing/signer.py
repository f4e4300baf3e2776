"""Signs versions by OpenSSF's `model-signing`, with what an environment names."""

import itertools
import os
import tempfile
from pathlib import Path

from model_signing import hashing, signing, verifying

from components.errors import ConfigError
from components.runtime import Signing
from components.serving.signing import keys, signature
from components.serving.signing.files import SIGNATURE_FILE
from components.serving.versions import EXTRA


def require_key(wanted: Signing) -> None:
    """Refuses to sign with what is none, before anything else is done.

    With a certificate something is signed and verified: it may be of no use for that.

    Raises:
        ConfigError: the key, its password, its certificate or the token is missing or wrong.
    """
    _require_files(wanted)
    if wanted.certificate is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, EXTRA).mkdir()
        _sign(folder, wanted)
        try:
            signature.check(folder, {}, own(wanted))
        except signature.SignatureError as error:
            raise ConfigError(
                "expected signing.certificate for signatures, and signing.chain up to its root; "
                f"got others: {error}; to fix, complete the chain, or give another certificate"
            ) from error


def _require_files(wanted: Signing) -> None:
    if wanted.identity_token is not None:
        _secret(wanted.identity_token, "identity_token")
        return
    key = keys.read_private(wanted.private_key, _password(wanted))
    if wanted.certificate is None:
        return
    chain = [
        one for path in (wanted.certificate, *wanted.chain) for one in keys.read_certificates(path)
    ]
    if chain[0].public_key() != key.public_key():
        raise ConfigError(
            f"expected signing.certificate of the key at {wanted.private_key}; got that of another "
            f"key at {wanted.certificate}; to fix, give the certificate of this key"
        )
    for lower, upper in itertools.pairwise(chain):
        if not signature.is_issued_by(lower, upper):
            raise ConfigError(
                "expected signing.certificate and signing.chain, each the issuer of the one "
                f"before; got {lower.subject.rfc4514_string()} before "
                f"{upper.subject.rfc4514_string()}; to fix, put them in order"
            )


def own(wanted: Signing) -> signature.Verifier | None:
    """Takes the signatures that `sign` makes; None of Sigstore's, whose identity is not known here.

    Raises:
        ConfigError: the key or a certificate is missing or wrong.
    """
    if wanted.identity_token is not None:
        return None
    if wanted.certificate is not None:
        return signature.by_certificates(wanted.chain[-1:])
    key = keys.read_private(wanted.private_key, _password(wanted)).public_key()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, keys.PUBLIC)
        Path(path).write_bytes(keys.pem(key))
        config = verifying.Config().use_elliptic_key_verifier(public_key=path)
    return signature.Verifier(
        config, signature.KEY, f"the key {keys.fingerprint(key)[:16]}… ({wanted.private_key})"
    )


def sign(version: str, wanted: Signing) -> None:
    """Signs all files of a version, and its number, which is the name of its folder.

    Args:
        version: a folder of this machine.
        wanted: with what.

    Raises:
        ConfigError: the key, a certificate or the token is missing or wrong.
        DownloadFailedError: Sigstore gives out no signature.
    """
    _require_files(wanted)
    _sign(version, wanted)


def _sign(version: str, wanted: Signing) -> None:
    config = signing.Config().set_hashing_config(
        hashing.Config().set_ignored_paths(paths=[SIGNATURE_FILE], ignore_git_paths=False)
    )
    file = os.path.join(version, SIGNATURE_FILE)
    if wanted.identity_token is not None:
        token = _secret(wanted.identity_token, "identity_token")
        try:
            config.use_sigstore_signer(identity_token=token).sign(version, file)
        except Exception as error:  # Whatever its clients of HTTP and TUF raise.
            raise signature.no_sigstore(error) from error
    elif wanted.certificate is not None:
        chain = [one for path in wanted.chain for one in keys.read_certificates(path)]
        with keys.as_file(chain) as path:
            config.use_certificate_signer(
                private_key=wanted.private_key,
                signing_certificate=wanted.certificate,
                certificate_chain=[path],
            )
        config.sign(version, file)
    else:
        password = _password(wanted)
        config.use_elliptic_key_signer(
            private_key=wanted.private_key, password=password.encode() if password else None
        ).sign(version, file)


def _password(wanted: Signing) -> str | None:
    return None if wanted.password is None else _secret(wanted.password, "password")


def _secret(variable: str, field: str) -> str:
    if not os.environ.get(variable):
        # Not its name: somebody may have written the secret itself.
        raise ConfigError(
            f"expected the environment variable that signing.{field} names; got none, or an empty "
            "one; to fix, set it"
        )
    return os.environ[variable]
