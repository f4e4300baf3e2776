"""What the steps of a cluster reach, and what is refused because they do not."""

import pytest

from pipeline import environment, steps
from pipeline.environment import Environment
from pipeline.kubeflow import reach

IMAGE = f"registry.example/deeplab@sha256:{'0a' * 32}"
CLAIM = 'volumes.x = { path = "/mnt", claim = "a" }'
BELOW_ROOT = ("artifacts", "served", "training_states", "records")
PATHS = ("root", *BELOW_ROOT)


def load(tmp_path, text: str = "", **given: str) -> Environment:
    path = tmp_path / "mine.toml"
    given = {"root": "gs://b", "image": IMAGE} | given
    path.write_text("\n".join(f"{key} = '{value}'" for key, value in given.items()) + "\n" + text)
    return environment.load(str(path))


def faults(made: Environment, data: str | None = None, weights: str | None = None) -> list[str]:
    lines = reach.sentences(made, data, weights)
    assert lines
    assert all(x.startswith("expected ") and "; got " in x and "; to fix, " in x for x in lines)
    return lines


def check_reached(made: Environment, data: str | None = None, weights: str | None = None) -> None:
    assert reach.sentences(made, data, weights) == []


# === Images ===


def test_an_image_is_needed_and_all_that_is_missing_is_named(tmp_path):
    lines = faults(load(tmp_path, root="near", image=""), "data")
    # The records lie where the data's folder is said to be.
    assert len(lines) == len(PATHS) - 1 + 2
    assert lines[-1].startswith("expected an image for steps run on other machines; got none")


@pytest.mark.parametrize("image", ["name", "name:tag", "registry:5000/group/name:1.0"])
def test_a_tag_is_refused_unless_it_is_allowed(tmp_path, image):
    (line,) = faults(load(tmp_path, image=image))
    assert line.startswith("expected image by its digest") and f"got {image};" in line
    assert "--allow-tag" in line
    check_reached(load(tmp_path, "allow_tag = true", image=image), None)


def test_the_image_of_a_step_is_judged_as_well(tmp_path):
    (line,) = faults(load(tmp_path, "[resources.Trainer]\nimage = 'gpu:1'"))
    assert line.startswith("expected resources.Trainer.image by its digest")


# === Paths ===


@pytest.mark.parametrize("field", [*PATHS, "metadata", "data.source"])
def test_a_relative_path_is_refused(tmp_path, field):
    value = "sqlite:near/it" if field == "metadata" else "near/it"
    given = {} if field == "data.source" else {field: value}
    if field == "root":
        given |= {name: "gs://elsewhere" for name in BELOW_ROOT}
    source = {"data.source": value, "records": None}.get(field, "gs://data")
    (line,) = faults(load(tmp_path, **given), source)
    assert line.startswith(f"expected {field} to be an absolute path or a bucket's address, ")
    assert "got near/it; to fix" in line


USERS = {
    "served": ["Sources", "Baseline", "Pusher"],
    "training_states": ["Tuner", "Trainer"],
    "records": ["Sources", "ImportExampleGen"],
    "data.source": ["Sources", "ImportExampleGen"],
    "initial_weights.source": ["Sources", "InitialWeights"],
    "metadata": ["Pusher", "Report"],
    "signing.private_key": ["Pusher"],
}


def placed(tmp_path, field: str, value: str, volumes: str) -> tuple:
    """An environment with a path in it, and what is given beside it."""
    given = {field: value} if field in ("served", "training_states", "records") else {}
    given |= {"metadata": f"sqlite:{value}"} if field == "metadata" else {}
    text = f"signing.private_key = '{value}'\n" if field.startswith("signing") else ""
    data = value if field == "data.source" else None
    weights = value if field == "initial_weights.source" else None
    return load(tmp_path, text + volumes, **given), data, weights


@pytest.mark.parametrize("field", USERS)
@pytest.mark.parametrize(
    ("value", "is_seen"),
    [
        ("/mnt/deep/er", True),
        ("/mnt", True),
        ("/mnt/", True),
        ("/mnt2/x", False),
        ("/mnt/../home", False),
        ("/home", False),
    ],
)
def test_a_path_is_seen_where_a_claim_is_mounted_above_it(tmp_path, field, value, is_seen):
    given = placed(tmp_path, field, value, CLAIM)
    if is_seen:
        check_reached(*given)
        return
    (line,) = faults(*given)
    assert line.startswith(f"expected {field} in a bucket, or on a volume of ")
    assert all(step in line for step in USERS[field]) and "claim =" in line


@pytest.mark.parametrize("field", USERS)
def test_every_step_that_uses_a_path_must_see_it(tmp_path, field):
    for blind in USERS[field]:
        others = [step for step in steps.ALL if step != blind]
        volumes = f'volumes.x = {{ path = "/mnt", claim = "a", steps = {others} }}'
        (line,) = faults(*placed(tmp_path, field, "/mnt/x", volumes))
        assert f"on a volume of {blind}; got /mnt/x" in line


@pytest.mark.parametrize("kind", ["empty_gb = 1", "ephemeral_gb = 1"])
def test_a_volume_that_goes_with_the_step_holds_nothing_for_others(tmp_path, kind):
    volumes = f'volumes.x = {{ path = "/mnt", {kind} }}'
    (line,) = faults(*placed(tmp_path, "served", "/mnt/x", volumes))
    assert line.startswith("expected served in a bucket, or on a volume of Sources, Baseline, P")


def test_a_volume_that_hides_a_claim_is_the_one_that_counts(tmp_path):
    text = f'{CLAIM}\nvolumes.y = {{ path = "/mnt/x", empty_gb = 1 }}'
    assert len(faults(*placed(tmp_path, "served", "/mnt/x/y", text))) == 1
    check_reached(*placed(tmp_path, "served", "/mnt/xy", text))


@pytest.mark.parametrize("other", ['claim = "b"', 'claim = "a", sub_path = "s"'])
def test_steps_that_share_a_folder_must_mean_the_same_one(tmp_path, other):
    others = [step for step in steps.ALL if step != "Pusher"]
    text = f'volumes.x = {{ path = "/mnt", claim = "a", steps = {others} }}\n'
    text += f'volumes.y = {{ path = "/mnt", {other}, steps = ["Pusher"] }}'
    (line,) = faults(*placed(tmp_path, "served", "/mnt/x", text))
    assert line.startswith("expected served to be one folder for Sources and Baseline and Pusher")


def test_the_same_folder_may_be_reached_by_another_part_of_the_claim(tmp_path):
    text = f'{CLAIM}\nvolumes.y = {{ path = "/mnt/s", claim = "a", sub_path = "s" }}'
    check_reached(*placed(tmp_path, "served", "/mnt/s/x", text))


def test_a_key_may_lie_in_a_secret(tmp_path):
    text = 'volumes.keys = { path = "/keys", secret = "keys", steps = ["Pusher"] }'
    check_reached(*placed(tmp_path, "signing.private_key", "/keys/key.pem", text))


@pytest.mark.parametrize("source", [None, "gs://bucket/data", "s3://b/d", "minio://b/d"])
def test_buckets_and_descriptions_from_here_are_taken(tmp_path, source):
    check_reached(load(tmp_path, "schemas = ['own']"), source, "mobilenet_v2")


def test_weights_that_are_the_served_ones_need_the_served_folder(tmp_path):
    text = f'volumes.x = {{ path = "/mnt", claim = "a", steps = {USERS["served"]} }}'
    made = load(tmp_path, text, served="/mnt/x")
    check_reached(made, None)
    assert "on a volume of InitialWeights" in faults(made, None, "served")[0]


# === Secrets ===


def test_a_variable_that_a_step_reads_a_secret_from_must_be_given_to_it(tmp_path):
    text = "signing = { private_key = '/keys/k', password = 'KEY_PASSWORD' }\n"
    text += 'volumes.keys = { path = "/keys", secret = "keys", steps = ["Pusher"] }\n'
    (line,) = faults(load(tmp_path, text))
    assert line.startswith("expected the variable KEY_PASSWORD of signing.password among the sec")
    assert "of Pusher; got none" in line and 'secret_variables.KEY_PASSWORD = "secret/key"' in line
    given = 'secret_variables.KEY_PASSWORD = { key = "keys/password", steps = ["Pusher"] }'
    check_reached(load(tmp_path, text + given), None)


def test_variables_of_all_steps_are_given_to_all(tmp_path):
    text = "secrets.bucket = 'TOKEN'\nsecret_variables.TOKEN = "
    (line,) = faults(load(tmp_path, text + "{ key = 'a/b', steps = ['Trainer'] }"))
    assert "TOKEN of secrets.bucket" in line and "Trainer" not in line and "Pusher" in line
    check_reached(load(tmp_path, text + "'a/b'"), None)
