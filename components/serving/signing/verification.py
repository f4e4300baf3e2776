"""What holds of a version, and what does not: signature, files, content, bill, attestation.

For people and for `python -m pipeline verify`. Needs no TensorFlow for a folder of this machine.
"""

import contextlib
import dataclasses
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from components.serving import versions
from components.serving.signing import attestation, bill, signature
from components.serving.signing.files import (
    ATTESTATION_FILE,
    BILL_FILE,
    SIGNATURE_FILE,
    differences,
    survey,
)
from components.serving.versions import EXTRA, PROVENANCE, Provenance
from components.storage import paths
from components.texts import counted


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Findings:
    """What was found of a version; each a sentence without a full stop."""

    holds: tuple[str, ...]
    faults: tuple[str, ...]
    unknown: tuple[str, ...]
    """What could not be checked."""
    signer: str = ""
    """Whose the signature claims to be; empty where there is none, or none that can be read."""


def examine(version: str, verifier: signature.Verifier | None) -> Findings:
    """Checks all that can be checked of a version.

    Args:
        version: its folder, here or in a store; the name of the folder is its number.
        verifier: whose signatures are taken; None where nobody has said.
    """
    with _here(version) as folder:
        return _Examination(folder).run(verifier)


class _Examination:
    """Of one folder of this machine."""

    def __init__(self, folder: str):
        self._folder = folder
        self._holds: list[str] = []
        self._unknown: list[str] = []
        found = survey(folder)
        self._digests, self._faults = found.digests, list(found.faults)
        # A pipe among the files would be waited for.
        self._are_files = not found.faults
        self._signer = ""

    def run(self, verifier: signature.Verifier | None) -> Findings:
        known = self._provenance()
        self._files(known)
        self._content(known)
        self._bill(known)
        self._signature(known, verifier)
        return Findings(
            holds=tuple(self._holds),
            faults=tuple(self._faults),
            unknown=tuple(self._unknown),
            signer=self._signer,
        )

    def _text(self, name: str) -> str | None:
        """Of a file of the version; None where it is not there, or no text, which is a fault."""
        if name not in self._digests:
            return None
        try:
            return Path(self._folder, name).read_bytes().decode()
        except (OSError, UnicodeDecodeError):
            self._faults.append(f"{name} cannot be read")
            return None

    def _provenance(self) -> Provenance | None:
        if f"{EXTRA}/{PROVENANCE}" not in self._digests:
            self._faults.append(f"there is no {EXTRA}/{PROVENANCE}: this pipeline did not push it")
            return None
        known = versions.read_provenance(self._folder)
        if known is None:
            self._faults.append(f"{EXTRA}/{PROVENANCE} cannot be read")
        return known

    def _files(self, known: Provenance | None) -> None:
        text = self._text(ATTESTATION_FILE)
        if text is None:
            if ATTESTATION_FILE in self._digests:
                return
            if known is not None and not known.attested:
                self._unknown.append("it is of a time without attestations: files may be missing")
            else:
                self._faults.append("its attestation is gone")
            return
        try:
            statement = attestation.read(text)
        except attestation.AttestationError as error:
            self._faults.append(f"the attestation: {error}")
            return
        found = {
            name: digest
            for name, digest in self._digests.items()
            if name not in (ATTESTATION_FILE, SIGNATURE_FILE)
        }
        wrong = differences(attestation.subject(statement), found)
        self._faults += wrong
        if not wrong:
            self._holds.append(f"{counted(len(found), 'file')} are those that it was attested of")

    def _content(self, known: Provenance | None) -> None:
        if known is None or not self._are_files:
            return
        if not known.content:
            self._unknown.append("it is of a time when nobody wrote down a hash of the model")
        elif known.content == versions.content(self._folder):
            self._holds.append(f"the model is the one of the content hash {known.content[:16]}…")
        else:
            self._faults.append("the model is not the one whose content hash it names")

    def _bill(self, known: Provenance | None) -> None:
        text = self._text(BILL_FILE)
        if text is None:
            if BILL_FILE not in self._digests:
                self._unknown.append("it has no bill of materials")
            return
        try:
            is_other = bill.differs(text, self._digests)
        except bill.BillError as error:
            self._faults.append(f"the bill of materials: {error}")
            return
        if is_other:
            self._faults.append("the bill of materials is about other files")
        else:
            self._holds.append("its bill of materials is about these very files")

    def _signature(self, known: Provenance | None, verifier: signature.Verifier | None) -> None:
        if SIGNATURE_FILE not in self._digests:
            if known is not None and known.signed:
                self._faults.append("its signature is gone")
            elif verifier is not None:
                self._faults.append(f"it is not signed, and not by {verifier.name}")
            else:
                self._unknown.append("it is not signed: nobody vouches for what it says of itself")
            return
        try:
            self._signer = signature.signer_of(self._folder)
            if verifier is not None:
                signature.check(self._folder, self._digests, verifier)
                self._holds.append(
                    f"{verifier.name} has signed it: {counted(len(self._digests) - 1, 'file')}, "
                    f"and the number {os.path.basename(self._folder)}"
                )
        except signature.SignatureError as error:
            self._faults.append(f"the signature: {error}")


@contextlib.contextmanager
def _here(version: str) -> Iterator[str]:
    """The folder of a version on this machine; that of a store is copied."""
    if not paths.is_remote(version):
        yield version
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = os.path.join(folder, os.path.basename(version))
        paths.copy_tree(version, copy)
        yield copy
