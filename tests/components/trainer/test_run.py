"""The Trainer's function as a process: killed, on two devices, as two workers."""

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import schemas
from components import runtime
from components.dataset import records
from components.dataset.sample import rendering as sample
from components.errors import ConfigError
from components.initial_weights import artifact
from components.initial_weights.options import InitialWeightsOptions
from components.model_options import ModelOptions
from components.report.advice import advise
from components.storage import paths
from components.trainer import distribution, history, input_fn
from components.trainer.options import TrainerConfig, TrainingOptions
from components.trainer.run import _augment, compile_network
from models import DeepLabV3Plus
from models.checkpoints import save_checkpoint
from tests.components.graphs import transform_graph

pytestmark = pytest.mark.slow

CROP = 65
MODEL = {"backbone": "mobilenet_v2", "width_multiplier": 0.35, "output_stride": 32,
         "aspp_depth": 8, "decoder": False, "atrous_rates": []}  # fmt: skip
TRAINING = {
    "steps": 6,
    "steps_per_epoch": 6,
    "save_every_steps": 2,
    "batch_size": 4,
    "learning_rate": 0.01,
    "batch_norm_decay": 0.9,
}


def render(split: str, count: int) -> list[records.Record]:
    """Squares with a class for every pixel: replicas divide by their own count of those."""
    rendered = []
    for index in range(count):
        picture = sample.render_picture(index, split)
        label_HW = picture.label_HW[:CROP, :CROP]
        square = picture._replace(
            image_HW3=picture.image_HW3[:CROP, :CROP],
            label_HW=np.where(label_HW == 255, 0, label_HW).astype(np.uint8),
        )
        assert square.label_HW.shape == (CROP, CROP)
        image, label = sample.encode_picture(square)
        rendered.append(
            records.Record(filename=picture.name, image=image, image_format="jpeg", label=label,
                           height=CROP, width=CROP)
        )  # fmt: skip
    return rendered


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Records of both splits, as ExampleGen leaves them, and their Transform graph."""
    folder = tmp_path_factory.mktemp("run")
    dataset = schemas.load("sample")
    for split, count in (("train", 10), ("val", 5)):
        rendered = render(split, count)
        with tf.io.TFRecordWriter(str(folder / split), "GZIP") as writer:
            for record in rendered:
                writer.write(record.serialize())
        if split == "train":
            config = {"canvas_size": CROP, "num_classes": dataset.num_classes,
                      "ignore_label": dataset.ignore_label}  # fmt: skip
            transform_graph(rendered, config, folder / "transform")
    write_weights(folder / "random", folder)
    return folder


def write_weights(target: Path, folder: Path, **chosen) -> None:
    """The artifact of initial weights, as the pipeline has it before the Trainer starts."""
    artifact.write(
        str(target),
        InitialWeightsOptions(**chosen),
        ModelOptions(**MODEL, dropout=0.0).arguments(7, CROP),
        class_names=schemas.load("sample").class_names,
        tuned_batch_norm="all",
        served=str(folder / "served"),
        name="deeplab",
    )


class Run:
    """One training with a folder of its own."""

    def __init__(
        self,
        folder: Path,
        name: str,
        dropout: float = 0.0,
        base_model: Path | None = None,
        train: str = "train",
        val: str = "val",
        states: str = "",
        **training,
    ):
        self.folder = folder / name
        self._states = states or str(self.folder / "training")
        self.folder.mkdir(exist_ok=True)
        config = TrainerConfig(
            dataset=schemas.load("sample"),
            canvas_size=CROP,
            model=ModelOptions(**MODEL, dropout=dropout),
            training=TrainingOptions(**TRAINING | training),
        )
        self._arguments = {
            "train_files": [str(folder / train)],
            "eval_files": [str(folder / val)],
            "transform_graph_path": str(folder / "transform" / "out"),
            "serving_model_dir": str(self.folder / "model"),
            "model_run_dir": str(self.folder / "run"),
            "base_model": str(base_model or folder / "random"),
            "hyperparameters": None,
            "custom_config": {"config": config.to_json()},
        }

    def start(self, devices: int = 1, **environment: str) -> subprocess.Popen:
        path = self.folder / "arguments.json"
        path.write_text(json.dumps(self._arguments))
        script = Path(__file__).with_name("process.py")
        place = runtime.Runtime(
            served=str(self.folder / "served"),
            training_states=self._states,
            beam_options={},
        )
        handed_on = {runtime.VARIABLE: place.model_dump_json()}
        return subprocess.Popen(
            [sys.executable, str(script), str(path), str(devices)],
            env=os.environ | {"PYTHONPATH": os.getcwd(), **handed_on, **environment},
            stderr=subprocess.PIPE,
            text=True,
        )

    def finish(self, devices: int = 1) -> str:
        return ended_well(self.start(devices))

    def weights(self) -> list[np.ndarray]:
        """The exported ones, in a fixed order."""
        loaded = tf.saved_model.load(str(self.folder / "model"))
        return [variable.numpy() for variable in loaded._variables]

    def states(self) -> list[history.State]:
        return history.read(str(self.folder / "run"))

    def description(self) -> dict:
        return json.loads((self.folder / "run" / "config.json").read_text())


def ended_well(process: subprocess.Popen) -> str:
    log = process.communicate(timeout=300)[1]
    assert process.returncode == 0, log[-3000:]
    return log


def assert_same_weights(expected: Run, got: Run) -> None:
    """Up to the order of float32 sums, which several threads do not keep."""
    for one, other in zip(expected.weights(), got.weights(), strict=True):
        scale = max(np.abs(one).max(), 1e-3)
        np.testing.assert_allclose(other, one, atol=1e-3 * scale)


def assert_same_changes(initial: Run, expected: Run, got: Run) -> None:
    """Every trained kernel went the same way, up to a hundredth of the way."""
    kernels = 0
    for start, one, other in zip(initial.weights(), expected.weights(), got.weights(), strict=True):
        if start.ndim == 4:
            way = np.abs(one - start).max()
            assert way > 0
            np.testing.assert_allclose(other, one, atol=0.01 * way)
            kernels += 1
    assert kernels > 50


@pytest.fixture(scope="module")
def whole(folder) -> Run:
    """A training that nothing interrupts."""
    run = Run(folder, "whole", dropout=0.1)
    run.log = run.finish()
    return run


@pytest.mark.parametrize("where", ["here", "store"])
def test_killed_within_an_epoch_it_reaches_the_same_end(folder, whole, where, request):
    is_here = where == "here"
    place = "" if is_here else f"minio://{request.getfixturevalue('s3_bucket')}/states"
    run = Run(folder, f"killed-{where}", dropout=0.1, states=place)
    process = run.start()
    seen = ""
    for line in process.stderr:
        seen += line
        if "step 4/6" in line:
            process.send_signal(signal.SIGKILL)
            break
    process.communicate()
    assert process.returncode == -signal.SIGKILL, seen[-3000:]
    log = run.finish()
    assert "Training goes on after step" in log
    assert "step 2/6" not in log and "step 6/6" in log
    assert_same_weights(whole, run)
    # The curve has the steps before the kill, too, each once.
    states = run.states()
    assert [state.step for state in states] == [2, 4, 6]
    assert [state.val_mean_iou is None for state in states] == [True, True, False]
    assert all(0 < state.change < 1 for state in states)
    for state, expected in zip(states, whole.states(), strict=True):
        assert state.loss == pytest.approx(expected.loss, rel=0.01)
    for split in ("train", "validation"):
        assert curve(run, split) == curve(whole, split)
    if not is_here:
        assert not paths.walk_files(place)  # The model is safe.


def curve(run: Run, split: str) -> list[int]:
    """The steps that TensorBoard shows of a training, however many runs it took."""
    events = EventAccumulator(str(run.folder / "run" / split)).Reload()
    return [event.step for event in events.Tensors("loss")]


def test_a_machine_set_to_other_habits_of_keras_trains_the_same(folder, whole, tmp_path):
    (tmp_path / ".keras").mkdir()
    odd = {"backend": "jax", "image_data_format": "channels_first", "floatx": "float16"}
    (tmp_path / ".keras" / "keras.json").write_text(json.dumps(odd | {"epsilon": 0.1}))
    run = Run(folder, "odd_home", dropout=0.1)
    ended_well(
        run.start(
            HOME=str(tmp_path),
            KERAS_HOME=str(tmp_path / ".keras"),
            KERAS_BACKEND="torch",
            KERAS_MAX_EPOCHS="1",
            TF_USE_LEGACY_KERAS="1",
            LC_ALL="tr_TR.UTF-8",
            TZ="nowhere",
        )
    )
    assert_same_weights(whole, run)


def test_crops_may_be_smaller_than_the_canvas(folder):
    run = Run(folder, "cropped", crop_size=33)
    assert "step 6/6" in run.finish()
    serve = tf.saved_model.load(str(run.folder / "model")).signatures["serving_default"]
    (picture,) = render("val", 1)
    answer = serve(image_bytes=tf.constant([picture.image]))
    assert tf.io.decode_png(answer["mask_bytes"][0]).shape == (CROP, CROP, 1)
    description = run.description()
    assert (description["canvas_size"], description["training"]["crop_size"]) == (CROP, 33)


def test_loss_that_is_no_number_is_refused_and_never_saved(folder):
    run = Run(folder, "diverged", learning_rate=1e30)
    for _ in range(2):  # The second run must find nothing to go on from.
        process = run.start()
        log = process.communicate(timeout=300)[1]
        assert process.returncode != 0
        assert "PipelineError: expected a finite loss; got nan before step" in log
        assert "to fix, lower training.learning_rate" in log
        assert not (run.folder / "model").exists()


# Four validations, and ten pictures a step, which are all there are.
FEW = {"steps": 8, "steps_per_epoch": 2, "save_every_steps": 1, "batch_size": 10,
       "scale_min": 1.0, "scale_max": 1.0, "flip": False, "schedule": "constant"}  # fmt: skip


def test_a_network_that_stands_still_is_said_to(folder):
    run = Run(folder, "still", **FEW, learning_rate=1e-30)
    run.finish()
    (line,) = advise(run.states())
    assert line.startswith("the network stood still: in 8 steps")


def test_a_loss_that_is_flat_is_said_to_be(folder):
    run = Run(folder, "flat", **FEW, learning_rate=1e-5)
    run.finish()
    (line,) = advise(run.states())
    assert line.startswith("the loss was flat")


def test_a_validation_that_falls_is_said_to(folder):
    """A network that begins with class 1 everywhere, as validation has it, learns class 0."""
    for name, split, answer in (("zeros", "train", 0), ("ones", "val", 1)):
        label = tf.io.encode_png(np.full((CROP, CROP, 1), answer, np.uint8)).numpy()
        with tf.io.TFRecordWriter(str(folder / name), "GZIP") as writer:
            for record in render(split, 10):
                writer.write(dataclasses.replace(record, label=label).serialize())
    model = DeepLabV3Plus(num_classes=7, input_shape=(CROP, CROP, 3), **MODEL)
    model.logits_layer.bias.assign([0, 3, 0, 0, 0, 0, 0])
    save_checkpoint(model, folder / "ones_first" / "model.ckpt")
    source = str(folder / "ones_first" / "model.ckpt")
    write_weights(folder / "ones_weights", folder, source=source, scope="all")
    run = Run(
        folder,
        "falls",
        train="zeros",
        val="ones",
        base_model=folder / "ones_weights",
        **FEW | {"steps": 40, "steps_per_epoch": 4, "save_every_steps": 4},
        learning_rate=0.01,
        optimizer="adamw",
        weight_decay_mode="decoupled",
    )
    run.finish()
    (line,) = advise(run.states())
    assert line.startswith("validation fell while training rose")


def test_a_training_that_learns_is_not_remarked_on(folder):
    run = Run(folder, "learns", **FEW, learning_rate=0.01)
    run.finish()
    assert advise(run.states()) == []


def test_float16_trains_with_scaled_losses(folder):
    run = Run(folder, "float16", mixed_precision="mixed_float16")
    assert "step 6/6" in run.finish()
    assert all(np.isfinite(weights).all() for weights in run.weights())
    network = DeepLabV3Plus(
        num_classes=7, input_shape=(CROP, CROP, 3), dtype="mixed_float16", **MODEL
    )
    options = TrainingOptions(**TRAINING | {"mixed_precision": "mixed_float16"})
    compile_network(network, network, options, schemas.load("sample"), {})
    assert isinstance(network.optimizer, keras.optimizers.LossScaleOptimizer)


@pytest.fixture(scope="module")
def shared(folder) -> dict:
    """Training in which replicas have all in common: fixed batch statistics, no dropout."""
    keras.utils.set_random_seed(7)
    model = DeepLabV3Plus(num_classes=7, input_shape=(CROP, CROP, 3), dropout=0.0, **MODEL)
    # Without statistics that fit, the signal would die on its way and nothing would be trained.
    for layer in model.batch_norm_layers:
        layer.momentum = 0.0
    model(np.random.default_rng(0).uniform(-1, 1, (8, CROP, CROP, 3)), training=True)
    save_checkpoint(model, folder / "initial" / "model.ckpt")
    write_weights(
        folder / "shared", folder, source=str(folder / "initial" / "model.ckpt"), scope="all"
    )
    return {
        "base_model": folder / "shared",
        "fine_tune_batch_norm": False,
        "scale_min": 1.0,
        "scale_max": 1.0,
        "learning_rate": 1e-4,
    }


@pytest.fixture(scope="module")
def single(folder, shared) -> Run:
    """One device."""
    run = Run(folder, "single", **shared)
    run.finish()
    return run


@pytest.fixture(scope="module")
def unchanged(folder, shared) -> Run:
    """No training."""
    run = Run(folder, "unchanged", **shared, steps=0)
    run.finish()
    return run


def test_no_steps_export_the_initial_weights(folder, unchanged):
    initial = tf.train.load_checkpoint(str(folder / "initial" / "model.ckpt"))
    kernel = initial.get_tensor("logits/semantic/weights")
    assert sum(np.array_equal(weights, kernel) for weights in unchanged.weights()) == 1
    assert "validation_mean_iou" not in unchanged.description()
    assert unchanged.states() == []


def test_two_devices_train_as_one(folder, shared, unchanged, single):
    run = Run(folder, "mirrored", distribution="mirrored", **shared)
    run.finish(devices=2)
    assert_same_changes(unchanged, single, run)


def test_two_workers_train_as_one(folder, shared, unchanged, single):
    workers = [f"localhost:{free_port()}" for _ in range(2)]
    run = Run(folder, "workers", distribution="multi_worker", **shared)
    processes = []
    for index in range(2):
        task = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
        processes.append(run.start(TF_CONFIG=json.dumps(task)))
    logs = [ended_well(process) for process in processes]
    assert "step 6/6" in logs[0] and "step 6/6" not in logs[1]
    assert_same_changes(unchanged, single, run)


def test_a_batch_that_replicas_cannot_share_is_refused(folder):
    process = Run(folder, "odd", distribution="mirrored", batch_size=3).start(devices=2)
    log = process.communicate(timeout=300)[1]
    assert process.returncode != 0
    assert "training.batch_size to be a multiple of the 2 replicas; got 3; to fix, choose 2" in log


@pytest.mark.parametrize("text", ["", "no JSON", '{"cluster": {}}'])
def test_workers_without_addresses_are_refused(text, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ConfigError, match="expected TF_CONFIG with the addresses"):
        distribution.build_strategy("multi_worker", 4)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("localhost", 0))
        return listener.getsockname()[1]


def test_what_tensorboard_shows(whole):
    train = EventAccumulator(str(whole.folder / "run" / "train")).Reload()
    validation = EventAccumulator(str(whole.folder / "run" / "validation"), {"images": 0}).Reload()
    numbers = {"loss", "mean_iou", "pixel_accuracy"}
    assert set(train.Tags()["tensors"]) == numbers | {"learning_rate", "configuration"}
    assert curve(whole, "train") == [2, 4, 6] and curve(whole, "validation") == [6]
    seen = set(validation.Tags()["tensors"])
    assert numbers <= seen and "iou/background" in seen and "image, truth, prediction" in seen
    picture = validation.Tensors("image, truth, prediction")[0].tensor_proto
    width, height, *encoded = picture.string_val
    assert (int(width), int(height)) == (3 * CROP, CROP) and len(encoded) == 4


def test_configuration_is_written_beside_the_run(whole):
    written = whole.description()
    assert TrainingOptions(**written["training"]).steps == 6
    assert written["dataset"] == "sample" and written["training_data"]["num_pictures"] == 10
    assert 0 <= written["validation_mean_iou"] <= 1


@pytest.mark.parametrize("crop", [33, CROP, 97])
def test_batches_go_on_where_they_stopped_and_split_among_workers(folder, crop):
    dataset = schemas.load("sample")
    transform = input_fn.TransformedRecords(
        tft.TFTransformOutput(str(folder / "transform" / "out"))
    )
    options = TrainingOptions(**TRAINING, crop_size=None if crop == CROP else crop)

    def batches(first_step=0, context=None):
        return input_fn.training_batches(
            input_fn.read_records([str(folder / "train")]),
            transform,
            _augment(options, CROP, dataset.ignore_label),
            num_records=10,
            batch_size=4,
            shuffle_buffer=10,
            seed=3,
            first_step=first_step,
            context=context,
        )

    whole = [image.numpy() for image, _ in batches().take(7)]
    assert whole[0].shape == (4, crop, crop, 3)
    for expected, (image, _) in zip(whole[4:], batches(first_step=4).take(3), strict=True):
        np.testing.assert_array_equal(image, expected)
    assert len({image.tobytes() for image in whole}) == 7
    halves = [
        [image.numpy() for image, _ in batches(context=tf.distribute.InputContext(2, i, 2)).take(3)]
        for i in range(2)
    ]
    for expected, *parts in zip(whole[:3], *halves, strict=True):
        together = np.stack(parts, axis=1).reshape(expected.shape)
        np.testing.assert_array_equal(together, expected)


def test_every_worker_validates_as_many_batches_though_it_may_have_no_picture(folder):
    transform = input_fn.TransformedRecords(
        tft.TFTransformOutput(str(folder / "transform" / "out"))
    )
    records = input_fn.read_records([str(folder / "val")]).take(1)
    labels = [
        [
            label.numpy()
            for _, label in input_fn.evaluation_batches(
                records,
                transform,
                2,
                ignore_label=255,
                context=tf.distribute.InputContext(2, worker, 2),
            )
        ]
        for worker in range(2)
    ]
    assert [len(each) for each in labels] == [1, 1]
    assert (labels[0][0] != 255).any() and (labels[1][0] == 255).all()
