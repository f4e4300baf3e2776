"""Estimates of memory: how they grow, and when a compiler says that a step gets too little."""

import pytest

from pipeline import environment, recipes, steps
from pipeline.config import PipelineConfig, override
from pipeline.kubeflow import needs

pytestmark = pytest.mark.slow  # Networks are built, and TensorFlow is imported.

CLASSES = 4


def config(*assignments: str) -> PipelineConfig:
    return override(recipes.sample(), list(assignments))


def place(tmp_path, resources: str) -> environment.Environment:
    path = tmp_path / "mine.toml"
    path.write_text(f"root = 'gs://b'\n[resources]\n{resources}")
    return environment.load(str(path))


@pytest.mark.parametrize(
    ("step", "assignment"),
    [
        ("Trainer", "training.batch_size=64"),
        ("Trainer", "data.canvas_size=257"),
        ("Tuner", "training.batch_size=64"),
        ("Trainer", "model.width_multiplier=2"),
        ("Evaluator", "evaluation.batch_size=512"),
        ("Evaluator", "data.canvas_size=513"),
    ],
)
def test_more_work_at_once_needs_more_memory(step, assignment):
    few = needs.memory(config(), CLASSES, step)
    assert needs.memory(config(assignment), CLASSES, step) > few


def test_crops_and_not_canvases_are_what_training_holds():
    whole = needs.memory(config("data.canvas_size=513"), CLASSES, "Trainer")
    crops = config("data.canvas_size=513", "training.crop_size=97")
    assert needs.memory(crops, CLASSES, "Trainer") < whole
    assert needs.memory(crops, CLASSES, "Trainer") == needs.memory(config(), CLASSES, "Trainer")


def test_what_a_gpu_holds_is_not_the_processs():
    big = config("training.batch_size=512")
    with_gpu = needs.memory(big, CLASSES, "Trainer", gpus=1)
    assert with_gpu < needs.memory(big, CLASSES, "Trainer")
    assert with_gpu == needs.memory(config(), CLASSES, "Trainer", gpus=1)


def test_a_step_without_a_network_has_its_floor_alone():
    for step in set(steps.ALL) - {"Trainer", "Tuner", "Evaluator"}:
        small, large = (config(f"data.canvas_size={side}") for side in (97, 513))
        assert 1 < needs.memory(small, CLASSES, step) == needs.memory(large, CLASSES, step) < 2


def test_each_step_that_gets_too_little_is_named_and_no_other(tmp_path):
    made = place(tmp_path, "default.memory_gb = 64\nPusher.memory_gb = 0.1\nTrainer.memory_gb = 3")
    run = config("data.canvas_size=513", "training.batch_size=32")
    lines = list(needs.warnings(run, CLASSES, made, list(steps.ALL)))
    assert len(lines) == 2
    trainer, pusher = lines
    need = needs.memory(run, CLASSES, "Trainer")
    assert trainer.startswith(f"Trainer will need about {need:.1f} GB of memory, an estimate")
    assert "gets 3:" in trainer and "resources.Trainer.memory_gb, or lower training" in trainer
    assert pusher.startswith("Pusher will need") and pusher.endswith("resources.Pusher.memory_gb")


def test_nothing_is_said_of_steps_without_a_limit_or_with_enough(tmp_path):
    run = config("training.batch_size=64")
    enough = needs.memory(run, CLASSES, "Trainer") + 0.1
    for resources in ("default.cpu = 1", f"default.memory_gb = {enough:.3f}"):
        made = place(tmp_path, resources)
        assert not list(needs.warnings(run, CLASSES, made, list(steps.ALL)))
