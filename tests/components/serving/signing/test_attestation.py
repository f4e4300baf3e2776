"""The attestation is an in-toto statement about the very files, in one way of writing only."""

import json
import math
from pathlib import Path

import pytest
from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.v1 import statement as in_toto
from in_toto_attestation.v1 import statement_pb2

from components.serving import pushing, succession, versions
from components.serving.signing import attestation
from components.serving.signing.files import ATTESTATION_FILE, survey
from tests.components.serving.model_folders import make_model, push
from tests.components.serving.signing.conftest import pushed


def of(version: str) -> dict:
    return attestation.read(Path(version, ATTESTATION_FILE).read_text())


def test_it_is_a_statement_about_all_files_but_itself_and_the_signature(tmp_path, signing):
    version = pushed(tmp_path, signing)
    text = Path(version, ATTESTATION_FILE).read_text()
    parsed = json_format.Parse(text, statement_pb2.Statement())
    in_toto.Statement.copy_from_pb(parsed).validate()
    digests = survey(version).digests
    left_out = {"assets.extra/attestation.intoto.json", "assets.extra/model.sig"}
    assert attestation.subject(of(version)) == {
        name: digest for name, digest in digests.items() if name not in left_out
    }
    assert left_out <= digests.keys()


def test_equal_pushes_differ_in_nothing_but_numbers(tmp_path):
    one, other = (pushed(tmp_path, None) for _ in range(2))
    assert one != other
    assert Path(one, ATTESTATION_FILE).read_bytes() == Path(other, ATTESTATION_FILE).read_bytes()


def known(**values) -> dict:
    provenance = versions.Provenance(made_from="ab", pipeline="p", pushed_at="2026-01-02T03:04:05Z")
    given = {"configuration": {}, "fingerprints": {}, "materials": [], "verdict": {}}
    return attestation.predicate(provenance, **{**given, **values})


def test_it_says_what_a_run_knows():
    values = {
        "configuration": {"training": {"steps": 3}},
        "fingerprints": {"components.trainer": "cd"},
        "materials": [{"name": "span-1", "digest": {"deeplabRecords": "ef"}}],
        "verdict": {"blessed": True, "candidate": {"mean_iou": 0.5}, "baseline": None},
    }
    statement = attestation.read(attestation.write({"a": "0" * 64}, known(**values)))
    build, run = (statement["predicate"][key] for key in ("buildDefinition", "runDetails"))
    assert build["externalParameters"]["configuration"] == values["configuration"]
    assert build["internalParameters"]["source_fingerprints"] == values["fingerprints"]
    assert build["internalParameters"]["made_from"] == "ab"
    assert build["resolvedDependencies"] == values["materials"]
    assert run["deeplab_verdict"] == values["verdict"]
    assert run["metadata"]["finishedOn"] == "2026-01-02T03:04:05Z"
    assert run["deeplab_by"] == attestation.who()


def test_it_is_slsas_provenance_but_for_what_is_named_as_ours():
    materials = [{"name": "span-1", "digest": {"deeplabRecords": "ef"}, "annotations": {"val": 3}}]
    text = attestation.write({"a": "0" * 64}, known(materials=materials, verdict={"blessed": True}))

    def without_ours(value):
        if isinstance(value, dict):
            return {k: without_ours(v) for k, v in value.items() if not k.startswith("deeplab_")}
        return value

    predicate = without_ours(attestation.read(text)["predicate"])
    parsed = json_format.ParseDict(predicate, provenance_pb2.Provenance())
    assert json_format.MessageToDict(parsed) == predicate
    with pytest.raises(json_format.ParseError):
        json_format.ParseDict(predicate | {"verdict": 1}, provenance_pb2.Provenance())


def test_what_is_no_json_is_not_written():
    with pytest.raises(ValueError):
        attestation.write({"a": "0" * 64}, known(verdict={"mean_iou": math.nan}))


@pytest.mark.parametrize("indent", [None, 1, 4])
def test_other_bytes_that_say_the_same_are_refused(indent):
    text = attestation.write({"a": "0" * 64}, known())
    assert json.loads(text) == attestation.read(text)
    with pytest.raises(attestation.AttestationError, match="not as they were written"):
        attestation.read(json.dumps(json.loads(text), indent=indent, sort_keys=True))


def test_a_copy_says_whose_it_is_and_by_whom_it_was_made(tmp_path):
    model = make_model(tmp_path / "model", "sample")
    folder = str(tmp_path / "serving" / "deeplab")
    provenance = versions.Provenance(
        made_from="ab", pipeline="deeplab-sample", pushed_at="2026-01-02T03:04:05"
    )
    predicate = known(verdict={"candidate": {"mean_iou": 0.5}})
    first = pushing.push(model, folder, {}, provenance, predicate=predicate)
    push(make_model(tmp_path / "other", "sample", b"other"), folder, "cd")
    copy = succession.roll_back(folder, first)
    again = succession.roll_back(folder, first)
    for version in (copy, again):
        found = of(version)["predicate"]
        assert found["runDetails"]["deeplab_verdict"] == predicate["runDetails"]["deeplab_verdict"]
        assert found["runDetails"]["deeplab_republished"] == {
            "of": first.rpartition("/")[2],
            "by": attestation.who(),
            "at": versions.read_provenance(version).pushed_at,
        }
        assert attestation.subject(of(version)) != attestation.subject(of(first))
