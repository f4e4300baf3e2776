"""What an environment may say of a step: what is taken, what is refused, and how it is said."""

import pytest

from components.errors import ConfigError
from pipeline import environment
from pipeline.placement.resources import Resources, Retries, SecretKey, Toleration, Volume

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
        retries = { limit = 3, pause_s = 5 }
        labels = { team = "a", stage = "b" }
        secrets.TOKEN = { name = "store", key = "token" }
        volumes."/mnt/a" = { claim = "a" }
        cache = false
        [resources.Trainer]
        cpu = 8
        retries = { limit = 1 }
        labels = { stage = "c" }
        volumes."/mnt/b" = { empty_gb = 1 }
        cache = true
        """,
    )
    trainer = made.resources_of("Trainer")
    assert (trainer.cpu, trainer.cache, trainer.retries) == (8, True, Retries(limit=1))
    assert trainer.labels == {"team": "a", "stage": "c"}
    assert trainer.volumes == {"/mnt/a": Volume(claim="a"), "/mnt/b": Volume(empty_gb=1)}
    assert trainer.secrets == {"TOKEN": SecretKey(name="store", key="token")}
    other = made.resources_of("Pusher")
    assert other == made.resources["default"] and other.retries.limit == 3 and not other.cache


@pytest.mark.parametrize("field", Resources.model_fields)
def test_what_an_entry_gives_wins_over_every_default(field):
    values = {
        **{"image": "a", "image_pull_policy": "Never", "image_pull_secrets": ["a"], "gpus": 3},
        **{"cpu": 1, "cpu_request": 1, "memory_gb": 1, "memory_request_gb": 1, "gpu_type": "a/b"},
        **{"retries": {"limit": 1}, "time_limit_s": 5, "cache": False, "labels": {"a": "b"}},
        **{"node_selector": {"a": "b"}, "tolerations": [{"operator": "Exists"}]},
        **{"volumes": {"/a": {"claim": "a"}}, "secrets": {"A": {"name": "a", "key": "a"}}},
        "annotations": {"a": "b"},
    }
    assert values.keys() == Resources.model_fields.keys()
    own = Resources.model_validate({field: values[field]})
    default = Resources.model_validate(values)
    plain = Resources()
    assert getattr(own.over(plain), field) == getattr(default, field) != getattr(plain, field)
    assert own.over(default) == default == plain.over(default)
    empty = Resources.model_validate({field: getattr(plain, field)})
    is_table = isinstance(getattr(plain, field), dict)
    assert getattr(empty.over(default), field) == getattr(default if is_table else plain, field)


# === What is refused ===

WRONG = [
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
    ("image_pull_policy = 'always'", "image_pull_policy"),
    ("image_pull_secrets = ['Creds']", "image_pull_secrets.0"),
    ("retries.limit = -1", "retries.limit"),
    ("retries.pause_s = 0.5", "retries.pause_s"),
    ("retries.factor = 1.5", "retries.factor"),
    ("retries.factor = 0", "retries.factor"),
    ("retries.tries = 1", "retries.tries"),
    ("retries = { limit = 1, pause_s = 60, maximum_s = 59 }", "retries"),
    ("retries = { limit = 1, maximum_s = 100 }\ntime_limit_s = 100", "retries.maximum_s"),
    ("time_limit_s = 0", "time_limit_s"),
    ("time_limit_s = 1e3", "time_limit_s"),
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
    ("tolerations = [{ value = 'b' }]", "tolerations.0"),
    ("tolerations = [{ key = 'a', seconds = 3 }]", "tolerations.0"),
    ("tolerations = [{ key = 'a', effect = 'Evict' }]", "tolerations.0.effect"),
    ("volumes.'mnt' = { claim = 'a' }", "volumes.mnt"),
    ("volumes.'/mnt/' = { claim = 'a' }", "volumes./mnt/"),
    ("volumes.'/' = { claim = 'a' }", "volumes./"),
    ("volumes.'/a/../b' = { claim = 'a' }", "volumes./a/../b"),
    ("volumes.'/a:b' = { claim = 'a' }", "volumes./a:b"),
    ("volumes.'/s3' = { claim = 'a' }", "volumes./s3"),
    ("volumes.'/minio/b' = { claim = 'a' }", "volumes./minio/b"),
    ("volumes.'/a' = {}", "volumes./a"),
    ("volumes.'/a' = { claim = 'a', secret = 'b' }", "volumes./a"),
    ("volumes.'/a' = { claim = 'A' }", "volumes./a.claim"),
    ("volumes.'/a' = { claim = 'a.b' }", "volumes./a.claim"),
    ("volumes.'/a' = { claim = 'a', sub_path = '/x' }", "volumes./a.sub_path"),
    ("volumes.'/a' = { claim = 'a', sub_path = 'x/../..' }", "volumes./a.sub_path"),
    ("volumes.'/a' = { secret = 'a', sub_path = 'x' }", "volumes./a"),
    ("volumes.'/a' = { claim = 'a', in_memory = true }", "volumes./a"),
    ("volumes.'/a' = { empty_gb = 1, storage_class = 'fast' }", "volumes./a"),
    ("volumes.'/a' = { empty_gb = 0 }", "volumes./a.empty_gb"),
    ("volumes.'/a' = { claim = 'kfp-launcher' }", "volumes./a"),
    ("volumes.'/a' = { claim = 'deeplab-0' }", "volumes./a"),
    ("volumes = { '/a' = { claim = 'x' }, '/b' = { secret = 'x' } }", "volumes"),
    ("volumes = { '/a' = { secret = 'x' }, '/b' = { secret = 'x' } }", "volumes"),
    ("secrets.KFP_POD_NAME = { name = 'a', key = 'b' }", "secrets"),
    ("secrets.DEEPLAB_RUNTIME = { name = 'a', key = 'b' }", "secrets"),
    ("secrets.A = { name = 'a' }", "secrets.A.key"),
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
        f"secrets.TOKEN = '{SECRET}'",
        f"secrets.TOKEN = ['{SECRET}']",
        f"secrets.TOKEN.value = '{SECRET}'",
        f"secrets.TOKEN = {{ name = 'a', key = 'b', '{SECRET}' = 'c' }}",
        f"secrets.TOKEN = {{ name = '{SECRET}', key = 'a' }}",
        f"secrets.TOKEN = {{ name = 'a', key = '{SECRET}' }}",
        f"secrets.'{SECRET}' = {{ name = 'a', key = 'b' }}",
        f"secrets.'TOKEN={SECRET}' = 'x'",
        f"secrets = '{SECRET}'",
        f"image_pull_secrets = ['{SECRET}']",
    ],
)
def test_a_secret_at_a_wrong_place_is_refused_and_not_said(tmp_path, text):
    message = refusal(tmp_path, f"[resources.Trainer]\n{text}")
    assert "expected resources.Trainer" in message and "; to fix, " in message
    assert "hunter2" not in message and "S3cret" not in message


@pytest.mark.parametrize(
    "given",
    [
        {"key": "gpu", "operator": "Exists", "effect": "NoSchedule"},
        {"key": "a.b/c", "value": "x"},
        {"operator": "Exists"},
        {"key": "a", "effect": "NoExecute", "seconds": 0},
    ],
)
def test_tolerations_that_kubernetes_takes(given):
    assert Toleration.model_validate(given).model_dump(exclude_unset=True) == given
