"""The bill of materials of a version, CycloneDX 1.6 as JSON: model, data and installed libraries.

It has no time and no number of its own making: equal models, data and libraries give equal bytes.
Its serial number is a hash of what is in it.
"""

import importlib.metadata
import json
import re
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from components.serving.versions import SAYS_WHERE_FROM

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:deeplab-pipeline:bill")
_LONGEST_LICENCE = 100
"""Characters; some distributions have the whole text there."""
_FILES = "file:"
_UNKNOWN = ("UNKNOWN", "NONE", "DUAL LICENSE", "OTHER/PROPRIETARY LICENSE")


class BillError(Exception):
    """What is wrong with a bill of materials; a clause without a full stop."""


def write(
    name: str, content: str, digests: Mapping[str, str], data: Mapping[str, Mapping[str, str]]
) -> str:
    """The text of a bill of materials.

    Args:
        name: of the model.
        content: SHA-256 of all its files, see `versions.content`.
        digests: SHA-256 of the files of the version, by path; what only says where it came from is
            left out.
        data: properties of the data sets that it learned from, by their names.
    """
    files = [
        Component(
            type=ComponentType.FILE,
            name=path,
            bom_ref=f"{_FILES}{path}",
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
        )
        for path, digest in sorted(_of_model(digests).items())
    ]
    model = Component(
        type=ComponentType.MACHINE_LEARNING_MODEL,
        name=name,
        version=content[:16],
        bom_ref=f"model:{name}",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=content)],
        components=files,
    )
    sets = [
        Component(
            type=ComponentType.DATA,
            name=each,
            bom_ref=f"data:{each}",
            properties=[
                Property(name=f"deeplab:{key}", value=value) for key, value in properties.items()
            ],
        )
        for each, properties in sorted(data.items())
    ]
    made_of = [*sets, *_libraries()]
    bom = Bom(components=made_of)
    bom.metadata.timestamp = None
    bom.metadata.component = model
    bom.register_dependency(model, made_of)
    bom.serial_number = uuid.UUID(int=0)
    text = JsonV1Dot6(bom).output_as_string()
    bom.serial_number = uuid.uuid5(_NAMESPACE, text)
    return _text(json.loads(JsonV1Dot6(bom).output_as_string()))


def files(text: str) -> dict[str, str]:
    """The hashes of the model's files in a bill of materials, by path.

    Raises:
        BillError: it is none.
    """
    try:
        bom = json.loads(text)
        if (bom["bomFormat"], bom["specVersion"]) != ("CycloneDX", "1.6"):
            raise BillError("it is not of CycloneDX 1.6")
        return {
            each["name"]: each["hashes"][0]["content"]
            for each in bom["metadata"]["component"]["components"]
        }
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise BillError("it is no bill of materials of a model") from error


def differs(text: str, digests: Mapping[str, str]) -> bool:
    """Whether a bill of materials is about other files than these of a model.

    Raises:
        BillError: it is none.
    """
    return files(text) != _of_model(digests)


def _of_model(digests: Mapping[str, str]) -> dict[str, str]:
    return {name: digest for name, digest in digests.items() if name not in SAYS_WHERE_FROM}


def _libraries() -> Iterator[Component]:
    """All distributions that Python finds, by name; of one that is there twice, that it imports."""
    found: dict[str, importlib.metadata.Distribution] = {}
    for distribution in importlib.metadata.distributions():
        name = re.sub(r"[-_.]+", "-", distribution.name).lower()
        found.setdefault(name, distribution)
    factory = LicenseFactory()
    for name, distribution in sorted(found.items()):
        licence = _licence(distribution)
        link = PackageURL("pypi", name=name, version=distribution.version)
        yield Component(
            type=ComponentType.LIBRARY,
            name=name,
            version=distribution.version,
            bom_ref=link.to_string(),
            purl=link,
            licenses=[factory.make_from_string(licence)] if licence else [],
        )


def _licence(distribution: importlib.metadata.Distribution) -> str:
    """As a distribution names it, best by SPDX's expression; empty where it does not."""
    metadata = distribution.metadata
    said = [metadata.get("License-Expression"), *(metadata.get("License") or "").splitlines()[:1]]
    said += [
        line.rpartition(" :: ")[2]
        for line in metadata.get_all("Classifier", [])
        if line.startswith("License :: OSI Approved :: ")
    ]
    lines = [line.strip() for line in said if line]
    return next((line for line in lines if _is_licence(line)), "")


def _is_licence(line: str) -> bool:
    is_name = bool(line) and line.upper() not in _UNKNOWN and not line.startswith("Copyright")
    return is_name and len(line) <= _LONGEST_LICENCE


def _text(bom: dict[str, Any]) -> str:
    return json.dumps(bom, indent=2, sort_keys=True) + "\n"
