"""A blessed model becomes a version that a server can be started with, once, and by the policy."""

import json
import os

import pytest
from tfx import v1 as tfx
from tfx.utils import path_utils

import schemas
from components.artifacts import DataReport
from components.data_gate import report
from components.dataset.examination.measures import NOTHING
from components.errors import NotBlessedError
from components.runtime import Runtime, Signing
from components.serving import models_config, succession, versions, warm_up
from components.serving.push_options import PushOptions
from components.serving.pusher import Pusher
from components.serving.server.loader import SavedModel
from components.serving.signing import attestation, keys, signer, verification
from components.serving.signing.files import ATTESTATION_FILE, BILL_FILE
from components.storage import paths
from pipeline import recipes
from pipeline.inputs import Inputs

pytestmark = pytest.mark.slow
types = tfx.types.standard_artifacts
PLAIN = PushOptions(batch_sizes=(1, 2), warm_up_records=0)
ORIGIN = Inputs(
    dataset=schemas.load("sample"),
    schema=schemas.schema_text("sample"),
    records="/records",
    records_digest="cd" * 16,
    weights_digest="ef" * 16,
).origin(recipes.get("sample"))
WARM = PLAIN.replace(warm_up_records=2)


@pytest.fixture(params=["here"])
def served(request, tmp_path) -> str:
    """Where models are pushed to: a folder of this machine, or the same as a store's address."""
    return f"{tmp_path}/serving" if request.param == "here" else f"file://{tmp_path}/serving"


both_places = pytest.mark.parametrize("served", ["here", "store"], indirect=True)


@pytest.fixture
def artifact(tmp_path):
    def artifact(kind, name: str):
        made = kind()
        made.uri = str(tmp_path / name)
        paths.make_folder(made.uri)
        return made

    return artifact


@pytest.fixture
def inputs(artifact, exported_model, evaluated, examples):
    model = artifact(types.Model, "model")
    paths.copy_tree(exported_model, path_utils.serving_model_dir(model.uri))
    model_blessing = artifact(types.ModelBlessing, "model_blessing")
    model_blessing.set_int_custom_property("blessed", 1)
    infra_blessing = artifact(types.InfraBlessing, "infra_blessing")
    infra_blessing.set_int_custom_property("blessed", 1)
    for blessing, name in ((model_blessing, "BLESSED"), (infra_blessing, "INFRA_BLESSED")):
        paths.write_text(f"{blessing.uri}/{name}", "")
    serialized = [example.serialize() for example in examples]
    content = warm_up.requests(exported_model, serialized[:2], PLAIN.batch_sizes)
    paths.write_bytes(f"{infra_blessing.uri}/{warm_up.FILE}", content)
    evaluation = artifact(types.ModelEvaluation, "evaluation")
    paths.copy_tree(evaluated, evaluation.uri)
    data_report = artifact(DataReport, "data_report")
    source = report.Source(span=3, digest="ab" * 16, splits={"train": NOTHING, "val": NOTHING})
    paths.write_text(f"{data_report.uri}/{report.FILE}", report.Report(sources=(source,)).to_json())
    return {
        "model": model,
        "model_blessing": model_blessing,
        "infra_blessing": infra_blessing,
        "evaluation": evaluation,
        "data_report": data_report,
    }


@pytest.fixture
def push(artifact, inputs, served, tmp_path):
    """Runs the step; gives what it says of the version."""
    count = 0

    def push(
        options: PushOptions = PLAIN, made_from: str = "a", signing: Signing | None = None
    ) -> dict:
        nonlocal count
        count += 1
        pushed = artifact(types.PushedModel, f"pushed-{count}")
        runtime = Runtime(
            served=served, training_states=str(tmp_path), beam_options={}, signing=signing
        )
        with runtime.handed_on():
            Pusher.EXECUTOR_SPEC.executor_class._FUNCTION(
                **inputs,
                pushed_model=pushed,
                name="deeplab",
                pipeline="deeplab-sample",
                made_from=made_from,
                records_state="12ab",
                weights_state="34cd",
                origin=ORIGIN,
                options=options.to_json(),
                source_fingerprint="",
            )
        return {
            "pushed": pushed.get_int_custom_property("pushed"),
            "is_new": pushed.get_int_custom_property("is_new"),
            "destination": pushed.get_string_custom_property("pushed_destination"),
            "label": pushed.get_string_custom_property("label"),
            "content": pushed.get_string_custom_property("pushed_content"),
        }

    return push


@pytest.fixture
def folder(served) -> str:
    return f"{served}/deeplab"


@both_places
def test_a_version_has_all_that_a_server_is_started_with(push, folder, inputs):
    pushed = push(WARM)
    version = pushed["destination"]
    assert (pushed["pushed"], pushed["is_new"]) == (1, 1)
    assert versions.versions(folder) == [version] and versions.is_unharmed(version)
    assert succession.require_served(version, folder, pushed["content"]) == version
    assert 0 <= versions.read_provenance(version).mean_iou < 0.5
    predicted = versions.read_extra(version, versions.PREDICTED)
    # Of three pictures, whose labels are all of classes.
    assert list(predicted) == list(schemas.load("sample").class_names)
    assert sum(predicted.values()) == 40 * 50 + 65 * 33 + 90 * 130
    content = paths.read_bytes(f"{version}/assets.extra/tf_serving_warmup_requests")
    assert content == paths.read_bytes(f"{inputs['infra_blessing'].uri}/{warm_up.FILE}") != b""
    batching = paths.read_text(f"{version}/batching_params.pbtxt")
    assert "allowed_batch_sizes: 1\nallowed_batch_sizes: 2\n" in batching
    assert models_config.labels(folder) == {"stable": int(os.path.basename(version))}


@both_places
def test_a_version_says_what_it_is_made_of_and_how(push, tmp_path):
    keys.make_pair(str(tmp_path / "keys"), None)
    signing = Signing(private_key=str(tmp_path / "keys" / keys.PRIVATE))
    version = push(WARM, signing=signing)["destination"]
    found = verification.examine(version, signer.own(signing))
    assert found.faults == found.unknown == () and len(found.holds) == 4
    assert SavedModel(version.removeprefix("file://")).signatures
    bill = json.loads(paths.read_text(f"{version}/{BILL_FILE}"))
    (data,) = (each for each in bill["components"] if each["type"] == "data")
    assert data["name"] == "sample span-3"
    predicate = attestation.read(paths.read_text(f"{version}/{ATTESTATION_FILE}"))["predicate"]
    build, run = predicate["buildDefinition"], predicate["runDetails"]
    configuration = build["externalParameters"]["configuration"]
    recipe = recipes.get("sample")
    for part in ("data", "model", "training"):
        assert configuration[part] == getattr(recipe, part).model_dump(mode="json")
    assert configuration["push"] == WARM.model_dump(mode="json")
    materials = {each["name"]: each["digest"] for each in build["resolvedDependencies"]}
    assert materials.keys() == {
        *("dataset.json", "schema.pbtxt", "files of the records", "initial weights", "span-3")
    }
    assert materials["span-3"] == {"deeplabRecords": "ab" * 16}
    assert "components.trainer" in build["internalParameters"]["source_fingerprints"]
    verdict = run["deeplab_verdict"]
    assert verdict["candidate"]["mean_iou"] == versions.read_provenance(version).mean_iou
    assert verdict["thresholds"]["MeanIoU"]["valueThreshold"]["lowerBound"] == 0.0
    assert verdict["baseline"] is verdict["baseline_version"] is None


def test_a_key_that_comes_later_pushes_no_model_again(push, tmp_path):
    first = push()
    keys.make_pair(str(tmp_path / "keys"), None)
    signing = Signing(private_key=str(tmp_path / "keys" / keys.PRIVATE))
    assert push(signing=signing) == first | {"is_new": 0}
    assert push(made_from="b", signing=signing)["is_new"]


def test_it_is_pushed_once_and_again_only_for_what_changes_it(push, folder):
    first = push(WARM)
    assert push(WARM) == first | {"is_new": 0}
    other = push(WARM.replace(batch_sizes=(1, 3)))
    assert other["is_new"] and other["destination"] != first["destination"]
    without = push()
    assert without["is_new"]
    assert "tf_serving_warmup_requests" not in paths.list_folder(
        f"{without['destination']}/assets.extra"
    )
    assert push(made_from="b")["is_new"]
    assert len(versions.versions(folder)) == 4


@both_places
def test_a_canary_leaves_the_stable_one_where_it_is(push, folder):
    first = push(PLAIN.replace(label="canary"))
    second = push(PLAIN.replace(label="canary"), made_from="b")
    assert (first["label"], second["label"]) == ("stable", "canary")
    stable, canary = (int(os.path.basename(pushed["destination"])) for pushed in (first, second))
    assert models_config.labels(folder) == {"stable": stable, "canary": canary}


def test_after_a_rollback_the_step_pushes_nothing_again(push, folder):
    first, second = push(made_from="a"), push(made_from="b")
    # Their files are equal: the rollback is told the version.
    number = os.path.basename(first["destination"])
    copy = succession.roll_back(folder, succession.find(folder, number))
    with pytest.raises(NotBlessedError, match="which a rollback replaced by"):
        push(made_from="b")
    again = push(made_from="a")
    assert (again["is_new"], again["destination"]) == (0, copy)
    assert versions.versions(folder)[0] == copy != second["destination"]


@both_places
def test_what_the_policy_does_not_keep_goes(push, folder):
    kept = PLAIN.replace(keep_versions=1)
    for letter in "abcd":
        last = push(kept, made_from=letter)
    left = [versions.read_provenance(version).made_from for version in versions.versions(folder)]
    assert left == ["d", "c"]  # c is what a repeated run of d measures up to.
    assert push(kept, made_from="d") == last | {"is_new": 0}


def test_what_is_not_to_be_pushed_is_not_and_no_rollback_is_in_its_way(push, folder):
    judged = PLAIN.replace(enabled=False)
    assert push(judged)["pushed"] == 0 and versions.numbered(folder) == []
    first = push(made_from="a")
    push(made_from="b")
    succession.roll_back(folder, succession.find(folder, os.path.basename(first["destination"])))
    before = versions.numbered(folder)
    assert push(judged, made_from="b")["pushed"] == 0
    assert versions.numbered(folder) == before


def test_what_is_not_blessed_is_not_pushed(push, folder, inputs):
    inputs["infra_blessing"].set_int_custom_property("blessed", 0)
    paths.remove_file(f"{inputs['infra_blessing'].uri}/INFRA_BLESSED")
    assert push()["pushed"] == 0
    assert versions.numbered(folder) == []
