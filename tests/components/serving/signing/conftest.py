"""Keys, certificates, and versions that were pushed with them."""

import datetime
import os
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from components.runtime import Signing
from components.serving import pushing, versions
from components.serving.signing import keys
from tests.components.serving.model_folders import make_model

DATA = {"sample span-1": {"records_digest": "ab" * 16, "records": '{"train": 3}'}}


def pushed(folder: Path, signing: Signing | None, weights: bytes = b"weights") -> str:
    """The path of a version with all that a run's has."""
    model = make_model(folder / f"model-{len(os.listdir(folder))}", "sample", weights)
    provenance = versions.Provenance(
        made_from="ab", pipeline="deeplab-sample", pushed_at="2026-01-02T03:04:05+00:00"
    )
    report = {f"{versions.EXTRA}/{versions.DATA_REPORT}": b"{}"}
    served = str(folder / "serving" / "deeplab")
    return pushing.push(model, served, report, provenance, data=DATA, signing=signing)


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> Path:
    """The folder of a pair of keys."""
    folder = tmp_path_factory.mktemp("pair")
    keys.make_pair(str(folder), None)
    return folder


@pytest.fixture(scope="module")
def signing(pair) -> Signing:
    return Signing(private_key=str(pair / keys.PRIVATE))


def write_key(path: Path, key) -> str:
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return str(path)


def make_certificates(folder: Path) -> Signing:
    """`root.pem`, the certificate of a signer, and the one between, each with its key."""
    above, issuer = None, None
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    for name in ("root", "middle", "signer"):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        is_authority = name != "signer"
        usage = dict.fromkeys(
            ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
             "encipher_only", "decipher_only"), False,
        )  # fmt: skip
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer or subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + datetime.timedelta(days=3650))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(
                x509.KeyUsage(
                    digital_signature=not is_authority,
                    key_cert_sign=is_authority,
                    crl_sign=is_authority,
                    **usage,
                ),
                critical=True,
            )
            .sign(above or key, hashes.SHA256())
        )
        (folder / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        write_key(folder / f"{name}.key", key)
        above, issuer = key, subject
    return Signing(
        private_key=str(folder / "signer.key"),
        certificate=str(folder / "signer.pem"),
        chain=(str(folder / "middle.pem"), str(folder / "root.pem")),
    )


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Path:
    """The folder of `root.pem` and those below it."""
    folder = tmp_path_factory.mktemp("authority")
    make_certificates(folder)
    return folder


@pytest.fixture(scope="module")
def certified(authority) -> Signing:
    return Signing(
        private_key=str(authority / "signer.key"),
        certificate=str(authority / "signer.pem"),
        chain=(str(authority / "middle.pem"), str(authority / "root.pem")),
    )
