"""What an environment may say of a step: what is taken, what is refused, and how it is said."""

import pytest

from components.errors import ConfigError
from pipeline import environment
from pipeline.placement.resources import Resources, Retries, Toleration, Volume

SECRET = "hunter2 S3cret"


def load(tmp_path, text: str) -> environment.Environment:
    path = tmp_path / "mine.toml"
    path.write_text(f'root = "gs://b"\n{text}')
    return environment.load(str(path))


def refusal(tmp_path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    return str(caught.value)


# === Default and entry ===


def test_a_step_has_its_own_values_and_the_default_for_the_rest(tmp_path):
    made = load(
        tmp_path,
        """
        [resources.default]
        cpu = 2
        retries = { limit = 3, seconds = 5 }
        labels = { team = "a", stage = "b" }
        cache = false
        [resources.Trainer]
        cpu = 8
        retries = { limit = 1 }
        labels = { stage = "c" }
        cache = true
        """,
    )
    trainer = made.resources_of("Trainer")
    assert (trainer.cpu, trainer.cache, trainer.retries) == (8, True, Retries(limit=1))
    assert trainer.labels == {"stage": "c"}
    other = made.resources_of("Pusher")
    assert other == made.resources["default"] and other.retries.limit == 3 and not other.cache


def test_volumes_and_secrets_are_for_all_steps_or_for_some(tmp_path):
    made = load(
        tmp_path,
        """
        volumes.a = { path = "/a", claim = "a" }
        volumes.b = { path = "/b", empty_gb = 1, steps = ["Trainer", "Tuner"] }
        secret_variables.A = "store/a.b"
        secret_variables.B = { key = "store.x/b", steps = ["Pusher"] }
        """,
    )
    assert made.volumes_of("Trainer") == {
        "a": Volume(path="/a", claim="a"),
        "b": Volume(path="/b", empty_gb=1, steps=("Trainer", "Tuner")),
    }
    assert made.volumes_of("Pusher").keys() == {"a"}
    assert made.secrets_of("Trainer") == {"A": ("store", "a.b")}
    assert made.secrets_of("Pusher") == {"A": ("store", "a.b"), "B": ("store.x", "b")}


@pytest.mark.parametrize("field", Resources.model_fields)
def test_what_an_entry_gives_wins_over_every_default(field):
    values = {
        **{"cpu": 1, "cpu_request": 1, "memory_gb": 1, "memory_request_gb": 1, "gpu_type": "a/b"},
        **{"image": "a", "gpus": 3, "retries": {"limit": 1}, "max_minutes": 5, "cache": False},
        **{"node_selector": {"a": "b"}, "tolerations": [{"operator": "Exists"}]},
        **{"labels": {"a": "b"}, "annotations": {"a": "b"}},
    }
    assert values.keys() == Resources.model_fields.keys()
    own = Resources.model_validate({field: values[field]})
    default = Resources.model_validate(values)
    plain = Resources()
    assert getattr(own.over(plain), field) == getattr(default, field) != getattr(plain, field)
    assert own.over(default) == default == plain.over(default)
    empty = Resources.model_validate({field: getattr(plain, field)})
    assert getattr(empty.over(default), field) == getattr(plain, field)


# === What is refused ===

WRONG = [
    ("retries = {}", "retries.limit"),
    ("cpu = 0", "cpu"),
    ("cpu = nan", "cpu"),
    ("cpu = inf", "cpu"),
    ("cpu = true", "cpu"),
    ("cpu = '2'", "cpu"),
    ("cpu = 0.0005", "cpu"),
    ("memory_gb = 1.23456", "memory_gb"),
    ("memory_gb = -1", "memory_gb"),
    ("gpus = 1.5", "gpus"),
    ("gpus = true", "gpus"),
    ("gpu_type = 'T4'", "gpu_type"),
    ("image = 'Not An Image'", "image"),
    ("retries.limit = 0", "retries.limit"),
    ("retries = { limit = 1, seconds = 0.5 }", "retries.seconds"),
    ("retries = { limit = 1, factor = 1.5 }", "retries.factor"),
    ("retries = { limit = 1, factor = 0 }", "retries.factor"),
    ("retries = { limit = 1, tries = 1 }", "retries.tries"),
    ("retries = { limit = 1, seconds = 60, max_seconds = 59 }", "retries"),
    ("retries = { limit = 1, max_seconds = 120 }\nmax_minutes = 2", "retries.max_seconds"),
    ("max_minutes = 0", "max_minutes"),
    ("max_minutes = 1e3", "max_minutes"),
    ("cache = 'no way'", "cache"),
    ("node_selector.'a b' = 'x'", "node_selector.a b"),
    ("node_selector.'a/b/c' = 'x'", "node_selector.a/b/c"),
    ("node_selector.'A.B/c' = 'x'", "node_selector.A.B/c"),
    (f"node_selector.'{'a' * 64}' = 'x'", f"node_selector.{'a' * 64}"),
    (f"node_selector.'{'a' * 254}/c' = 'x'", f"node_selector.{'a' * 254}/c"),
    ("node_selector.a = 'b c'", "node_selector.a"),
    ("node_selector.a = 'b-'", "node_selector.a"),
    (f"node_selector.a = '{'b' * 64}'", "node_selector.a"),
    ("node_selector.a = true", "node_selector.a"),
    ("labels.'workflows.argoproj.io/workflow' = 'x'", "labels.workflows.argoproj.io/workflow"),
    ("annotations.'pipelines.kubeflow.org/v2' = 'x'", "annotations.pipelines.kubeflow.org/v2"),
    ("annotations.a = '{{workflow.name}}'", "annotations.a"),
    ("tolerations = [{ key = 'a', operator = 'Exists', value = 'b' }]", "tolerations.0"),
    ("tolerations = [{ operator = 'Equal' }]", "tolerations.0"),
    ("tolerations = [{ key = 'a', seconds = 3 }]", "tolerations.0"),
    ("tolerations = [{ key = 'a', effect = 'Evict' }]", "tolerations.0.effect"),
    ("cpu = 1\ncpu_request = 2", ""),
    ("memory_gb = 1\nmemory_request_gb = 1.001", ""),
]


@pytest.mark.parametrize(("text", "place"), WRONG)
@pytest.mark.parametrize("step", ["default", "Trainer"])
def test_what_no_cluster_takes_is_refused_with_its_place_and_a_way_out(tmp_path, step, text, place):
    (line,) = refusal(tmp_path, f"[resources.{step}]\n{text}").split("\n")[:1]
    if (step, place) == ("default", "image"):
        place = ""
    whole = f"expected resources.{step}{'.' if place else ''}{place}"
    assert line.startswith(whole) and line[len(whole)] in " .", line
    assert "; got " in line and "; to fix, " in line and "{place}" not in line


WRONG_VOLUMES = [
    ("path = 'mnt', claim = 'a'", ".path"),
    ("path = '/mnt/', claim = 'a'", ".path"),
    ("path = '/', claim = 'a'", ".path"),
    ("path = '/a/../b', claim = 'a'", ".path"),
    ("path = '/a:b', claim = 'a'", ".path"),
    ("path = '/s3', claim = 'a'", ".path"),
    ("path = '/minio/b', claim = 'a'", ".path"),
    ("path = '/a'", ""),
    ("claim = 'a'", ".path"),
    ("path = '/a', claim = 'a', secret = 'b'", ""),
    ("path = '/a', claim = 'A'", ".claim"),
    ("path = '/a', claim = 'a.b'", ".claim"),
    (f"path = '/a', claim = '{'a' * 64}'", ".claim"),
    ("path = '/a', claim = 'a', sub_path = '/x'", ".sub_path"),
    ("path = '/a', claim = 'a', sub_path = 'x/../..'", ".sub_path"),
    ("path = '/a', secret = 'a', sub_path = 'x'", ""),
    ("path = '/a', claim = 'a', in_memory = true", ""),
    ("path = '/a', empty_gb = 1, storage_class = 'fast'", ""),
    ("path = '/a', empty_gb = 0", ".empty_gb"),
    ("path = '/a', claim = 'kfp-launcher'", ""),
    ("path = '/a', claim = 'a', steps = ['Trainr']", ".steps.0"),
]


@pytest.mark.parametrize(("text", "place"), WRONG_VOLUMES)
def test_a_volume_that_no_cluster_takes_is_refused(tmp_path, text, place):
    (line,) = refusal(tmp_path, f"volumes.x = {{ {text} }}").split("\n")
    assert line.startswith(f"expected volumes.x{place} "), line
    assert "; got " in line and "; to fix, " in line and "{place}" not in line


SOME = "steps = ['Trainer']"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("path = '/a', claim = 'x'", "path = '/a', claim = 'y'"),
        ("path = '/a', claim = 'x'", "path = '/b', secret = 'x'"),
        ("path = '/a', secret = 'x'", "path = '/b', secret = 'x'"),
        ("path = '/a', claim = 'two'", "path = '/b', empty_gb = 1"),
    ],
)
def test_volumes_that_one_pod_cannot_have_together(tmp_path, first, second):
    (line,) = refusal(
        tmp_path, f"volumes.one = {{ {first} }}\nvolumes.two = {{ {second}, {SOME} }}"
    ).split("\n")
    assert line.startswith("expected volumes of a step ") and " and two; to fix, " in line
    other = "steps = ['Tuner']"
    load(
        tmp_path,
        f"volumes.one = {{ {first}, {other} }}\nvolumes.two = {{ {second}, {SOME} }}",
    )


def test_one_claim_may_be_seen_at_several_paths(tmp_path):
    load(
        tmp_path,
        "volumes.a = { path = '/a', claim = 'x' }\n"
        "volumes.b = { path = '/b', claim = 'x', sub_path = 'y' }",
    )


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("volumes.Name = { path = '/a', claim = 'a' }", "volumes.Name"),
        ("volumes.gcs-scratch = { path = '/a', empty_gb = 1 }", "volumes.gcs-scratch"),
        ("image_pull_policy = 'always'", "image_pull_policy"),
        ("image_pull_secrets = ['Creds']", "image_pull_secrets.0"),
        ("secret_variables.KFP_POD_NAME = 'a/b'", "secret_variables"),
        ("secret_variables.DEEPLAB_RUNTIME = 'a/b'", "secret_variables"),
        ("secret_variables.A = 'a'", "secret_variables.A.key"),
        ("secret_variables.A = 'a/..b'", "secret_variables.A.key"),
        ("secret_variables.A = { key = 'a/b', steps = ['x'] }", "secret_variables.A.steps.0"),
        ("secret_variables.A = 3", "secret_variables.A"),
        ("resources.default.image = 'a'", "resources.default"),
    ],
)
def test_other_settings_that_no_cluster_takes_are_refused(tmp_path, text, place):
    (line,) = refusal(tmp_path, text).split("\n")
    assert line.startswith(f"expected {place} "), line
    assert "; got " in line and "; to fix, " in line and "{place}" not in line


def test_what_fits_alone_and_not_with_the_default_is_refused_at_the_step(tmp_path):
    text = "[resources]\ndefault.cpu = 2\nTrainer.cpu_request = 4\nPusher.gpus = 1"
    (line,) = refusal(tmp_path, text).split("\n")
    assert line.startswith("expected resources.Trainer to ask for no more cpu than its limit")


def test_what_is_wrong_with_the_default_is_said_once(tmp_path):
    text = "[resources]\ndefault = { cpu = 2, cpu_request = 3 }\nTrainer.gpus = 1\nPusher.gpus = 1"
    (line,) = refusal(tmp_path, text).split("\n")
    assert line.startswith("expected resources.default to ask for no more cpu than its limit")


def test_all_faults_of_all_steps_are_said_at_once(tmp_path):
    text = "\n".join(f"[resources.{step}]\ncpu = 0\ngpu_type = 'x'" for step in ("Pusher", "Tuner"))
    lines = refusal(tmp_path, text).split("\n")
    places = [(step, f) for step in ("Pusher", "Tuner") for f in ("cpu", "gpu_type")]
    assert [any(f"expected resources.{s}.{f}" in line for line in lines) for s, f in places] == (
        [True] * 4
    )


@pytest.mark.parametrize(
    "text",
    [
        f"secret_variables.TOKEN = '{SECRET}'",
        f"secret_variables.TOKEN = ['{SECRET}']",
        f"secret_variables.TOKEN.value = '{SECRET}'",
        f"secret_variables.TOKEN = {{ key = 'a/b', '{SECRET}' = 'c' }}",
        f"secret_variables.TOKEN = {{ key = '{SECRET}/a' }}",
        f"secret_variables.TOKEN = 'a/{SECRET}'",
        f"secret_variables.'{SECRET}' = 'a/b'",
        f"secret_variables.'TOKEN={SECRET}' = ['x']",
        f"secret_variables = '{SECRET}'",
        f"image_pull_secrets = ['{SECRET}']",
    ],
)
def test_a_secret_at_a_wrong_place_is_refused_and_not_said(tmp_path, text):
    message = refusal(tmp_path, text)
    assert message.startswith(("expected secret_variables", "expected image_pull_secrets"))
    assert "; to fix, " in message
    assert "hunter2" not in message and "S3cret" not in message


@pytest.mark.parametrize(
    "given",
    [
        {"key": "gpu", "operator": "Exists", "effect": "NoSchedule"},
        {"key": "a.b/c", "operator": "Equal", "value": "x"},
        {"operator": "Exists"},
        {"key": "a", "effect": "NoExecute", "seconds": 0},
    ],
)
def test_tolerations_that_kubernetes_takes(given):
    assert Toleration.model_validate(given).model_dump(exclude_unset=True) == given
