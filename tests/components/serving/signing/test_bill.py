"""The bill of materials is one by CycloneDX's schema, and lists all that is there."""

import importlib.metadata
import json
import random
import re
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.markers import Marker

from components.serving import versions
from components.serving.signing import bill
from components.serving.signing.files import BILL_FILE, sha256
from tests.components.serving.signing.conftest import DATA, pushed
from tests.conftest import REPOSITORY


@pytest.fixture(scope="module")
def version(tmp_path_factory) -> Path:
    return Path(pushed(tmp_path_factory.mktemp("pushed"), None))


@pytest.fixture(scope="module")
def text(version) -> str:
    return (version / BILL_FILE).read_text()


def of_type(text: str, kind: str) -> list[dict]:
    return [each for each in json.loads(text)["components"] if each["type"] == kind]


def locked() -> dict[str, str]:
    """Versions by name of what the lock has for this Python and this machine."""
    lines = re.findall(
        r"^([a-z0-9-]+)==([^ ;\\]+)(?: ; ([^\\]+))?",
        (REPOSITORY / "requirements.lock").read_text(),
        re.MULTILINE,
    )
    return {
        name: version
        for name, version, marker in lines
        if not marker or Marker(marker.strip()).evaluate()
    }


def test_it_is_one_by_the_schema_and_a_typo_is_none(text):
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(text) is None
    assert validator.validate_str(text.replace('"machine-learning-model"', '"model"')) is not None


def test_every_distribution_of_the_lock_is_in_it_with_its_version(text):
    libraries = {each["name"]: each["version"] for each in of_type(text, "library")}
    known = locked()
    assert len(known) > 200
    assert {name: libraries.get(name) for name in known} == known


def test_licences_are_there_where_distributions_say_so(text):
    for each in of_type(text, "library"):
        metadata = importlib.metadata.metadata(each["name"])
        said = metadata.get("License-Expression")
        if said:
            (found,) = each["licenses"]
            named = found.get("expression") or found["license"].get("id")
            assert named == said or named.lower() == said.lower()
    unlicensed = [each["name"] for each in of_type(text, "library") if not each.get("licenses")]
    assert len(unlicensed) < 10


def test_the_model_and_its_data_are_in_it(version, text):
    model = json.loads(text)["metadata"]["component"]
    assert (model["type"], model["name"]) == ("machine-learning-model", "deeplab")
    assert model["hashes"] == [{"alg": "SHA-256", "content": versions.content(str(version))}]
    listed = {each["name"]: each["hashes"][0]["content"] for each in model["components"]}
    there = {
        str(path.relative_to(version)): sha256(str(path))
        for path in version.rglob("*")
        if path.is_file()
    }
    assert listed == {
        name: digest for name, digest in there.items() if name not in versions.SAYS_WHERE_FROM
    }
    assert len(listed) == 3
    (data,) = of_type(text, "data")
    properties = {each["name"]: each["value"] for each in data["properties"]}
    assert {data["name"]: properties} == {
        name: {f"deeplab:{key}": value for key, value in known.items()}
        for name, known in DATA.items()
    }


def test_equal_input_gives_equal_bytes_in_any_order_and_other_input_others():
    rng = random.Random(1)
    digests = {f"{folder}/file-{i}": f"{i:064x}" for folder in "abc" for i in range(5)}
    first = bill.write("deeplab", "ab" * 32, digests, DATA)
    for _ in range(3):
        shuffled = dict(rng.sample(sorted(digests.items()), len(digests)))
        assert bill.write("deeplab", "ab" * 32, shuffled, DATA) == first
    others = [
        bill.write("other", "ab" * 32, digests, DATA),
        bill.write("deeplab", "ab" * 32, digests | {"a/file-0": "f" * 64}, DATA),
        bill.write("deeplab", "ab" * 32, digests, {}),
    ]
    numbers = {json.loads(each)["serialNumber"] for each in (first, *others)}
    assert len(numbers) == 4
    assert all(re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", number) for number in numbers)


def test_it_is_known_of_which_files_it_is(version, text):
    found = bill.files(text)
    assert not bill.differs(text, found | {BILL_FILE: "0" * 64})
    for name in found:
        assert bill.differs(text, found | {name: "0" * 64})
        assert bill.differs(text, {k: v for k, v in found.items() if k != name})
    assert bill.differs(text, found | {"more": "0" * 64})
