"""Where a run happens: what is filled in, what is refused, and that no result depends on it."""

import pytest

import schemas
from components.errors import ConfigError
from components.runtime import Signing
from components.storage import paths
from pipeline import environment, recipes, steps
from pipeline.environment import Beam, Environment
from pipeline.inputs import Inputs
from pipeline.kubeflow import reach
from pipeline.placement.resources import Resources, SecretVariable, Volume

BELOW_ROOT = ("artifacts", "served", "training_states", "records")
PATHS = ("root", *BELOW_ROOT)


def load(tmp_path, text: str, **changes) -> Environment:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return environment.load(str(path), **changes)


def refusal(tmp_path, text: str, **changes) -> str:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text, **changes)
    return str(caught.value)


# === What is read ===


@pytest.mark.parametrize("name", environment.available())
def test_those_that_ship_can_be_read(name):
    place = environment.load(name)
    assert place.name == name
    assert set(place.runtime().beam_options) == set(steps.ON_BEAM) <= set(steps.ALL)


def test_local_and_kubeflow_ship_and_do_what_they_say():
    assert environment.available() == ("kubeflow", "local")
    environment.load("local").require_local()
    digest = f"registry.example/deeplab@sha256:{'0a' * 32}"
    assert reach.sentences(environment.load("kubeflow", image=digest), None) == []


def test_an_unknown_name_is_refused_with_those_that_there_are():
    with pytest.raises(ConfigError, match="one of kubeflow, local, or a TOML file; got 'moon'; to"):
        environment.load("moon")


@pytest.mark.parametrize("content", [None, b"root = ", b"\xff\xfe"])
def test_a_file_that_is_no_toml_is_refused(tmp_path, content):
    path = tmp_path / "mine.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"as TOML in .*mine\.toml; got .*; to fix, start from"):
        environment.load(str(path))


def test_root_stands_in_the_other_paths_as_it_is_given(tmp_path):
    text = 'root = "first"\nserved = "{root}/models"\nmetadata = "sqlite:{root}/m.sqlite"'
    made = load(tmp_path, text, root="s3://bucket/", image=None)
    assert (made.name, made.root) == ("mine", "s3://bucket/")
    assert made.artifacts == "s3://bucket/artifacts"
    assert made.served == "s3://bucket/models"
    assert made.metadata == "sqlite:s3://bucket/m.sqlite"


def test_the_mark_that_editors_of_windows_leave_is_no_fault(tmp_path):
    assert load(tmp_path, '\ufeffroot = "out"').root == "out"


# === What is refused ===


def test_all_faults_are_named_at_once(tmp_path):
    text = """
        rot = "x"
        min_free_disk_gb = -1
        [resources.Trainr]
        [beam.steps]
        Pusher = []
    """
    lines = refusal(tmp_path, text).split("\n")
    places = [line.split(" to be valid in ")[0] for line in lines]
    assert all(line.startswith("expected ") and "; to fix, " in line for line in lines)
    for place in ("root", "rot", "min_free_disk_gb", "resources.Trainr", "beam.steps.Pusher"):
        assert any(found.startswith(f"expected {place}") for found in places), place


@pytest.mark.parametrize(
    "text",
    ["servd = 'x'", "[beam]\noption = []", "[resources.default]\nmemory = 3", "[cluster]\nx = 1"],
)
def test_misspelt_fields_are_refused(tmp_path, text):
    assert "to fix, see the docstrings" in refusal(tmp_path, f"root = 'x'\n{text}")


@pytest.mark.parametrize("character", "*?[]")
@pytest.mark.parametrize("field", [*PATHS, "metadata", "schemas"])
def test_patterns_are_refused_in_every_path(tmp_path, field, character):
    value = f"/a{character}b"
    written = {"metadata": f"'sqlite:{value}'", "schemas": f"['/good', '{value}']"}
    texts = {"root": "'/root'", field: written.get(field, f"'{value}'")}
    message = refusal(tmp_path, "\n".join(f"{key} = {text}" for key, text in texts.items()))
    name = "schemas[1]" if field == "schemas" else field
    assert f"expected {name} without * ? [ ], which" in message
    assert f"got {value}" in message and "; to fix, choose another folder" in message
    # The others are named only where they lie below it.
    assert len(message.split("\n")) == (5 if field == "root" else 1)


@pytest.mark.parametrize("metadata", ["postgres://host/db", "sqlite:", "metadata.sqlite", "mysql"])
def test_metadata_of_an_unknown_kind_is_refused(tmp_path, metadata):
    message = refusal(tmp_path, f"root = 'x'\nmetadata = '{metadata}'")
    assert message.startswith("expected metadata as sqlite:PATH, mysql://")


SERVERS = ["mysql://user@host/db", "postgresql://me@host:5432/db", "grpc://host:8080"]


@pytest.mark.parametrize("metadata", SERVERS)
def test_databases_on_servers_serve_a_run_here_and_the_steps_elsewhere(tmp_path, metadata):
    made = load(
        tmp_path,
        f"root = 'x'\nmetadata = '{metadata}'\n[secrets]\nmetadata_password = 'PASSWORD'",
    )
    made.require_local()
    assert (made.runtime().metadata, made.runtime().metadata_password) == (metadata, "PASSWORD")


@pytest.mark.parametrize(
    ("metadata", "wrong"),
    [
        ("mysql://user@localhost/db", "a Unix socket"),
        ("mysql://user@host", "no database"),
        ("postgresql://host/db", "no user"),
        ("postgresql://user@host:99999/db", "a port of 1 to 65535"),
        ("postgresql://user:secret@host/db", "without a password"),
        ("grpc://host:8080/db", "as grpc://HOST:PORT"),
        ("grpc://", "a host"),
        ("sqlite:", "got 'sqlite'"),
        ("oracle://user@host/db", "got 'oracle'"),
    ],
)
def test_addresses_of_metadata_are_judged_at_the_door(tmp_path, metadata, wrong):
    message = refusal(tmp_path, f"root = 'x'\nmetadata = '{metadata}'")
    assert (
        wrong in message
        and "to fix" in message
        and "secret" not in message.replace("under secrets", "")
    )


@pytest.mark.parametrize("text", ["root = 'x'", "root = 's3://b'\nmetadata = 'sqlite:m'"])
def test_a_run_here_needs_metadata_and_a_root_here(tmp_path, text):
    with pytest.raises(ConfigError, match="expected metadata and a root on this m"):
        load(tmp_path, text).require_local()


@pytest.mark.parametrize(
    "image", ["name:tag", "registry:5000/group/name:1.0", f"name@sha256:{'0a' * 32}"]
)
def test_images_with_a_tag_or_a_digest(tmp_path, image):
    assert load(tmp_path, f"root = 'x'\nimage = '{image}'").image == image


@pytest.mark.parametrize("image", ["Name With Blanks", "name@sha256:12", "-name", "http://x y"])
def test_what_is_no_image_is_refused(tmp_path, image):
    assert "to be a container image; got" in refusal(tmp_path, f"root = 'x'\nimage = '{image}'")


# === Secrets ===

SECRET = "hunter2-S3cret"


@pytest.mark.parametrize("scheme", ["mysql", "postgresql", "grpc"])
def test_a_password_in_an_address_is_refused_and_not_printed(tmp_path, scheme):
    message = refusal(tmp_path, f"root = 'x'\nmetadata = '{scheme}://me:{SECRET}@host/db'")
    assert f"expected metadata without a password; got one in the {scheme}: address" in message
    assert SECRET not in message


@pytest.mark.parametrize("value", [f"'{SECRET}'", f"['{SECRET}']", f"'A={SECRET}'"])
def test_secrets_are_names_and_what_else_comes_is_not_printed(tmp_path, value):
    message = refusal(tmp_path, f"root = 'x'\n[secrets]\nbucket = {value}")
    assert "expected secrets.bucket" in message and "to be the name of an environment" in message
    assert SECRET not in message


def test_the_name_of_a_variable_is_kept_and_never_what_it_holds(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    made = load(tmp_path, "root = 'x'\n[secrets]\nbucket = 'AWS_SECRET_ACCESS_KEY'")
    assert made.secrets == {"bucket": "AWS_SECRET_ACCESS_KEY"}
    assert SECRET not in made.model_dump_json() + repr(made) + made.runtime().model_dump_json()


# === What a run makes of it ===


def test_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = "root = 'out'\nserved = 's3://b/served'\nmetadata = 'sqlite:{root}/m'\nschemas = ['own']"
    made = load(tmp_path, text).made_absolute()
    assert (made.root, made.records) == (f"{tmp_path}/out", f"{tmp_path}/out/data")
    assert (made.served, made.metadata) == ("s3://b/served", f"sqlite:{tmp_path}/out/m")
    assert made.schemas == (f"{tmp_path}/own",)
    assert made.made_absolute() == made


@pytest.mark.parametrize("metadata", ["", *SERVERS])
def test_other_metadata_is_no_path_to_make_absolute(tmp_path, metadata):
    made = load(tmp_path, f"root = '/x'\nmetadata = '{metadata}'")
    assert made.made_absolute() == made


def test_options_of_beam_are_those_of_the_step_or_of_all(tmp_path):
    text = """
        root = "/r"
        [beam]
        options = ["--runner=FlinkRunner"]
        steps.DataGate = ["--runner=DirectRunner", "--direct_num_workers=2"]
    """
    runtime = load(tmp_path, text).runtime()
    assert (runtime.served, runtime.training_states) == ("/r/serving", "/r/training")
    assert set(runtime.beam_options) == set(steps.ON_BEAM)
    own = {"DataGate": ("--runner=DirectRunner", "--direct_num_workers=2")}
    expected = dict.fromkeys(steps.ON_BEAM, ("--runner=FlinkRunner",)) | own
    assert runtime.beam_options == expected


@pytest.mark.parametrize("place", ["options", "steps.DataGate"])
def test_what_is_no_option_of_beam_is_refused(tmp_path, place):
    message = refusal(tmp_path, f"root = 'x'\n[beam]\n{place} = ['runner=FlinkRunner']")
    assert "expected options of Beam that start with --; got 'runner=FlinkRunner'; to" in message


def test_a_step_without_resources_of_its_own_has_the_default(tmp_path):
    made = load(tmp_path, "root = 'x'\n[resources]\ndefault.cpu = 2\nTrainer.gpus = 1")
    assert made.resources_of("Pusher") == Resources(cpu=2)
    assert made.resources_of("Trainer") == Resources(cpu=2, gpus=1)
    assert load(tmp_path, "root = 'x'").resources_of("Trainer") == Resources()


# === No result depends on it ===

CHANGED = {
    "serving_program": "/opt/tensorflow_model_server",
    "name": "other",
    "root": "/other",
    "artifacts": "/a",
    "served": "/b",
    "training_states": "/c",
    "records": "/d",
    "metadata": "sqlite:/e",
    "beam": Beam(options=("--runner=FlinkRunner",)),
    "image": "name:tag",
    "allow_tag": True,
    "image_pull_policy": "Always",
    "image_pull_secrets": ("registry",),
    "volumes": {"shared": Volume(path="/mnt", claim="shared")},
    "secret_variables": {"TOKEN": SecretVariable(key="store/token")},
    "resources": {"Trainer": Resources(gpus=8)},
    "schemas": ("/f",),
    "min_free_disk_gb": 9.0,
    "signing": Signing(private_key="/g"),
    "secrets": {"bucket": "TOKEN"},
}


def test_every_field_is_changed_below():
    assert CHANGED.keys() == Environment.model_fields.keys()


@pytest.mark.parametrize("field", CHANGED)
def test_what_a_run_is_made_from_does_not_depend_on_where_it_happens(field):
    def made_from(made: Environment) -> str:
        with made.runtime().handed_on():
            inputs = Inputs(
                dataset=schemas.load("sample"),
                schema="",
                records=paths.join(made.records, "sample"),
                records_digest="digest",
            )
            return inputs.made_from(recipes.get("sample"))

    local = environment.load("local")
    other = local.model_copy(update={field: CHANGED[field]})
    assert other != local
    assert made_from(other) == made_from(local)


@pytest.mark.parametrize("change", [{"records_digest": "b"}, {"weights_digest": "b"}])
def test_what_a_run_is_made_from_depends_on_what_it_builds_on(change):
    given = {"dataset": schemas.load("sample"), "schema": "", "records": "x"}
    found = [Inputs(**given | each).made_from(recipes.get("sample")) for each in ({}, change)]
    assert found[0] != found[1]


def test_what_a_run_is_made_from_depends_on_the_configuration():
    inputs = Inputs(dataset=schemas.load("sample"), schema="", records="x")
    config = recipes.get("sample")
    changed = config.replace(training=config.training.replace(learning_rate=0.1))
    assert inputs.made_from(config) != inputs.made_from(changed)
