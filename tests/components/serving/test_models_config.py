"""The file that servers poll: read by TensorFlow Serving's own message, and safe to be polled."""

import random
from pathlib import Path

import pytest
from google.protobuf import text_format
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

from components.errors import ConfigError
from components.serving import models_config, versions
from components.serving.models_config import CANARY, STABLE


@pytest.fixture
def root(tmp_path) -> Path:
    return tmp_path / "serving"


def add(root: Path, number: int, name: str = "deeplab") -> str:
    """A version, as far as this file is concerned."""
    version = root / name / str(number)
    version.mkdir(parents=True)
    (version / "saved_model.pb").write_bytes(b"")
    return str(root / name)


def read(root: Path) -> dict:
    config = text_format.Parse((root / "models.config").read_text(), ModelServerConfig())
    return {model.name: model for model in config.model_config_list.config}


def test_a_server_is_told_where_models_are_and_to_load_one_more_than_labelled(root):
    folder = add(root, 5)
    models_config.label(folder, 5, STABLE)
    model = read(root)["deeplab"]
    assert (model.base_path, model.model_platform) == ("/models/deeplab", "tensorflow")
    assert dict(model.version_labels) == {"stable": 5}
    assert model.model_version_policy.latest.num_versions == 2
    assert not list(root.glob("*.lock"))


def test_a_canary_leaves_the_stable_one_until_it_is_promoted(root):
    for number in (5, 6):
        folder = add(root, number)
        models_config.label(folder, number, CANARY)
    assert models_config.labels(folder) == {"stable": 5, "canary": 6}
    models_config.label(folder, 6, STABLE)
    assert models_config.labels(folder) == {"stable": 6}
    models_config.label(folder, 6, CANARY)  # As a repeated run would.
    assert models_config.labels(folder) == {"stable": 6}


def test_models_and_what_people_wrote_stay(root):
    root.mkdir()
    (root / "models.config").write_text(
        """# by hand
        model_config_list { config {
          name: "other" base_path: "/elsewhere" model_platform: "tensorflow"
          logging_config { sampling_config { sampling_rate: 0.1 } } } }"""
    )
    other = read(root)["other"]
    models_config.label(add(root, 5), 5, STABLE)
    assert read(root)["other"] == other
    text = (root / "models.config").read_text()
    (root / "models.config").write_text(text.replace("/models/deeplab", "/srv/deeplab"))
    models_config.label(add(root, 6), 6, STABLE)
    assert read(root)["deeplab"].base_path == "/srv/deeplab"
    assert read(root).keys() == {"other", "deeplab"}


def test_labels_of_versions_that_are_gone_go(root):
    for number in (5, 6):
        folder = add(root, number)
        models_config.label(folder, number, CANARY)
    (root / "deeplab" / "5" / "saved_model.pb").unlink()
    (root / "deeplab" / "5").rmdir()
    add(root, 7)
    models_config.label(folder, 7, CANARY)
    assert models_config.labels(folder) == {"stable": 7}


@pytest.mark.parametrize("content", [b"{", b"model_config_list { config { nmae: '' } }", b"\xff"])
def test_a_file_that_no_server_would_read_is_said_and_kept(root, content):
    folder = add(root, 5)
    (root / "models.config").write_bytes(content)
    for use in (models_config.labels, models_config.pinned):
        with pytest.raises(ConfigError, match=r"models\.config to be a ModelServerConfig.*to fix"):
            use(folder)
    with pytest.raises(ConfigError):
        models_config.label(folder, 5, STABLE)
    assert (root / "models.config").read_bytes() == content


def test_in_a_bucket_servers_read_the_bucket():
    folder = "ram://bucket/of/deeplab"
    assert models_config.labels(folder) == {}
    version = f"{folder}/5"
    versions.paths.make_folder(version)
    versions.paths.write_text(f"{version}/saved_model.pb", "")
    models_config.label(folder, 5, STABLE)
    text = versions.paths.read_text("ram://bucket/of/models.config")
    (model,) = text_format.Parse(text, ModelServerConfig()).model_config_list.config
    assert model.base_path == folder


class Server:
    """What TensorFlow Serving does with the file and the folder, as its sources have it.

    `FileSystemStoragePathSource` loads the newest versions of the policy in force;
    `ServerCore::ReloadConfig` sets the labels first, and where one of them moves to a version that
    is not loaded, takes nothing of the file.
    """

    def __init__(self, root: Path):
        self.root, self.labels, self.kept, self.loaded = root, {}, 1, set()
        self.answered: set[str] = set()

    def poll_folder(self) -> None:
        there = sorted(int(path.name) for path in (self.root / "deeplab").iterdir())
        self.loaded = set(there[-self.kept :])

    def poll_config(self) -> None:
        model = read(self.root)["deeplab"]
        for label, number in model.version_labels.items():
            # With --allow_version_labels_for_unavailable_models a new label may wait.
            if self.labels.get(label, number) != number and number not in self.loaded:
                return
        self.labels = dict(model.version_labels)
        self.kept = model.model_version_policy.latest.num_versions

    def require_answers(self) -> None:
        """A label that was answered is answered on; a new one may wait for its version."""
        lost = {
            label: number
            for label, number in self.labels.items()
            if label in self.answered and number not in self.loaded
        }
        assert not lost, self.loaded
        self.answered = {at for at, number in self.labels.items() if number in self.loaded}


@pytest.mark.parametrize("seed", range(20))
def test_no_order_of_polls_leaves_a_label_unanswered_or_a_server_stuck(root, seed):
    """Pushes, canaries and promotions at random, polls in between in any order."""
    order = random.Random(seed)
    folder = add(root, 1)
    models_config.label(folder, 1, STABLE)
    server = Server(root)
    polls = [server.poll_config, server.poll_folder]
    for poll in polls:
        poll()
    number = 1
    for _ in range(40):
        action = order.choice(("push", "canary", "promote"))
        if action == "promote":
            models_config.label(folder, number, STABLE)
        else:
            number += 1
            add(root, number)
            if order.random() < 0.5:  # A server sees the version before the file.
                server.poll_folder()
                server.require_answers()
            models_config.label(folder, number, STABLE if action == "push" else CANARY)
        # A training takes longer than both polls; in which order they come is chance.
        order.shuffle(polls)
        for poll in (*polls, *polls):
            poll()
            server.require_answers()
        assert server.labels == models_config.labels(folder)
        assert number in server.loaded
        assert server.answered == set(server.labels)
