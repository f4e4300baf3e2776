"""What a machine is set to for other projects changes nothing here; every case a fresh process."""

import json
import os
import subprocess
import sys

import pytest

from components import settings
from tests.conftest import REPOSITORY

EXPECTED = "float32 1e-07 tensorflow channels_last None"

SHOW = """
print(keras.config.floatx(), keras.config.epsilon(), keras.config.backend(),
      keras.config.image_data_format(), keras.config.max_epochs())
"""


def run(script: str, home, **variables: str) -> subprocess.CompletedProcess:
    """Runs a script on a machine whose person has the given home and variables."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("KERAS_", "TF_", "XLA_"))
    }
    given = {"HOME": str(home), "PYTHONPATH": str(REPOSITORY), "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.run(
        [sys.executable, "-c", script],
        cwd=REPOSITORY, env=inherited | given | variables, capture_output=True, text=True,
    )  # fmt: skip


def home_with(folder, text: str):
    (folder / ".keras").mkdir()
    (folder / ".keras" / "keras.json").write_text(text)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ('{"image_data_format": "channels_first", "floatx": "float16", "epsilon": 0.1}', {}),
        ('{"backend": "torch"}', {"KERAS_BACKEND": "jax"}),
        (
            "no JSON",
            {"HOME": "/nonexistent", "KERAS_MAX_EPOCHS": "many", "KERAS_NNX_ENABLED": "true"},
        ),
    ],
)
def test_keras_is_what_the_project_needs_whatever_the_machine_says(tmp_path, text, variables):
    done = run("import components, keras" + SHOW, home_with(tmp_path, text), **variables)
    assert done.stdout == EXPECTED + "\n", done.stderr
    assert (tmp_path / ".keras" / "keras.json").read_text() == text


@pytest.mark.slow
def test_keras_imported_before_us_is_set_right(tmp_path):
    text = '{"image_data_format": "channels_first", "floatx": "float16", "epsilon": 0.1}'
    done = run("import keras, components" + SHOW, home_with(tmp_path, text))
    assert done.stdout == EXPECTED + "\n", done.stderr


@pytest.mark.slow
def test_another_backend_imported_before_us_is_one_sentence(tmp_path):
    done = run("import keras, components", tmp_path, KERAS_BACKEND="jax")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "RuntimeError: expected Keras on TensorFlow; got jax, imported before; to fix, set "
        "KERAS_BACKEND=tensorflow in the environment"
    )


def test_children_inherit_what_is_fixed(tmp_path):
    """Beam's workers and the serving check's process, which imports nothing of the project."""
    script = (
        "import subprocess, sys, components\n"
        "child = 'import json, os; print(json.dumps(dict(os.environ)))'\n"
        "subprocess.run([sys.executable, '-c', child], check=True)"
    )
    odd = {name: "odd" for name in (*settings.FIXED, *settings.DROPPED)}
    environment = json.loads(run(script, tmp_path, **odd).stdout)
    assert {name: environment.get(name) for name in odd} == settings.FIXED | dict.fromkeys(
        settings.DROPPED
    )


def test_the_network_alone_leaves_the_choice_to_its_user(tmp_path):
    """`models` is of use on any backend."""
    done = run(
        "import models, os, sys; print(os.environ['KERAS_BACKEND'], 'tensorflow' in sys.modules)",
        tmp_path,
        KERAS_BACKEND="jax",
    )
    assert done.stdout == "jax False\n", done.stderr


@pytest.mark.parametrize(
    ("variables", "expected"), [({}, "1"), ({"TF_ENABLE_ONEDNN_OPTS": "0"}, "0")]
)
def test_onednn_is_on_unless_somebody_says_otherwise(tmp_path, variables, expected):
    script = "import components, os; print(os.environ['TF_ENABLE_ONEDNN_OPTS'])"
    assert run(script, tmp_path, **variables).stdout == expected + "\n"
