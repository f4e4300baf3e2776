"""The attestation of a version: an in-toto statement of its files and of how they came about.

Its subject are the hashes of all files, the signature's and its own apart. Its predicate is SLSA's
provenance, https://slsa.dev/provenance/v1; fields of ours begin with `deeplab_`, as it asks of
extensions. It is written in one way only, sorted, and with a hash of itself: without a signature
nobody vouches for it, but bytes that changed by accident are seen all the same. Equal input gives
equal bytes, but for who pushed, and when.
"""

import copy
import getpass
import hashlib
import json
import os
import socket
from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format
from in_toto_attestation.v1 import statement as in_toto
from in_toto_attestation.v1 import statement_pb2

from components.serving.signing.files import ATTESTATION_FILE, SIGNATURE_FILE
from components.serving.versions import Provenance

PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:deeplab-pipeline:run:1"
BUILDER = "urn:deeplab-pipeline:pusher:1"
CHECKSUM = "deeplab_checksum"
REPUBLISHED = "deeplab_republished"


class AttestationError(Exception):
    """What is wrong with an attestation; a clause without a full stop."""


def predicate(
    provenance: Provenance,
    *,
    configuration: Mapping[str, Any],
    fingerprints: Mapping[str, str],
    materials: list[Mapping[str, Any]],
    verdict: Mapping[str, Any],
) -> dict[str, Any]:
    """How a run came to a version.

    Args:
        provenance: what the version says of itself.
        configuration: what was computed, JSON.
        fingerprints: hashes of the code, by module.
        materials: what it was made of: in-toto's resource descriptors, with `name` and `digest`.
        verdict: the Evaluator's figures, its thresholds, and what was measured up to, JSON.
    """
    return {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {
                "pipeline": provenance.pipeline,
                "configuration": dict(configuration),
            },
            "internalParameters": {
                "made_from": provenance.made_from,
                "source_fingerprints": dict(fingerprints),
            },
            "resolvedDependencies": [dict(material) for material in materials],
        },
        "runDetails": {
            "builder": {"id": BUILDER},
            "metadata": {"finishedOn": provenance.pushed_at},
            "deeplab_by": who(),
            "deeplab_verdict": dict(verdict),
        },
    }


def of_unknown(provenance: Provenance) -> dict[str, Any]:
    """The same of a version of which nothing but its provenance is known."""
    return predicate(provenance, configuration={}, fingerprints={}, materials=[], verdict={})


def republished(version: str, provenance: Provenance) -> dict[str, Any]:
    """What an attestation says of a version, for a copy of it.

    Args:
        version: the text of its attestation.
        provenance: of the copy.

    Raises:
        AttestationError: the text is none.
    """
    found = copy.deepcopy(read(version)["predicate"])
    del found[CHECKSUM]
    found["runDetails"][REPUBLISHED] = {
        "of": provenance.republished,
        "by": who(),
        "at": provenance.pushed_at,
    }
    return found


def write(digests: Mapping[str, str], predicate: Mapping[str, Any]) -> str:
    """The text of an attestation.

    Args:
        digests: SHA-256 of the files of the version, by path; its own and the signature's are left
            out.
        predicate: how it came about.

    Raises:
        ValueError: something in it is no JSON.
    """
    statement = {
        "_type": in_toto.STATEMENT_TYPE_URI,
        "subject": [
            {"name": name, "digest": {"sha256": digest}}
            for name, digest in sorted(digests.items())
            if name not in (ATTESTATION_FILE, SIGNATURE_FILE)
        ],
        "predicateType": PREDICATE_TYPE,
        "predicate": dict(predicate),
    }
    statement["predicate"][CHECKSUM] = _checksum(statement)
    text = _text(statement)
    read(text)
    return text


def read(text: str) -> dict[str, Any]:
    """The statement in an attestation.

    Raises:
        AttestationError: it is none, or its bytes are not those that were written.
    """
    try:
        parsed = json_format.Parse(text, statement_pb2.Statement())
        in_toto.Statement.copy_from_pb(parsed).validate()
        statement = json.loads(text)
        unsummed = copy.deepcopy(statement)
        checksum = unsummed["predicate"].pop(CHECKSUM)
        subject(statement)
        is_ours = statement["predicateType"] == PREDICATE_TYPE
    except (ValueError, TypeError, LookupError, json_format.Error, RecursionError) as error:
        raise AttestationError("it is no statement of in-toto's") from error
    if _text(statement) != text or _checksum(unsummed) != checksum:
        raise AttestationError("its bytes are not as they were written")
    if not is_ours:
        raise AttestationError("it is not of provenance")
    return statement


def subject(statement: Mapping[str, Any]) -> dict[str, str]:
    """The hashes of the files that it is about, by path."""
    return {each["name"]: each["digest"]["sha256"] for each in statement["subject"]}


def who() -> str:
    """Who is at work, and where."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # Containers run as numbers that have no name.
        name = f"user {os.getuid()}"
    return f"{name} on {socket.gethostname()}"


def _text(statement: Mapping[str, Any]) -> str:
    return json.dumps(statement, indent=2, sort_keys=True, allow_nan=False) + "\n"


def _checksum(statement: Mapping[str, Any]) -> str:
    return hashlib.sha256(_text(statement).encode()).hexdigest()
