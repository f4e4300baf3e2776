"""From an exported model to files for phones and what they are worth; plain functions, no TFX."""

import collections
import itertools
import os
import statistics
import tempfile
from collections.abc import Callable, Iterable

import numpy as np
import tensorflow_transform as tft

from components.errors import PipelineError
from components.private_names import tflite_operators
from components.serving import exported
from components.serving.versions import EXTRA, WEIGHTS
from components.storage import paths
from components.tflite import progress
from components.tflite.contract import FILE as CONTRACT
from components.tflite.contract import contract, file_name
from components.tflite.interpreter import Interpreter
from components.tflite.judging import Judge, Prepare, draw
from components.tflite.network import convert, phone_network
from components.tflite.options import INT8, Kind, TFLiteOptions
from components.tflite.results import KindResult, TFLiteReport, reasons
from models import DeepLabV3Plus
from models.checkpoints import load_checkpoint
from schemas import Dataset


def make(
    model: str,
    transform_output: tft.TFTransformOutput,
    training: Iterable[bytes],
    validation: Iterable[bytes],
    count: int,
    dataset: Dataset,
    options: TFLiteOptions,
    folder: str,
) -> TFLiteReport:
    """Writes the files, their contract and the report.

    Args:
        model: folder of the exported model.
        transform_output: of the Transform graph that it was exported with.
        training: serialized records of the training split, to calibrate on; read once.
        validation: serialized records of the validation split.
        count: how many of the latter there are.
        dataset: whose classes are found.
        options: which files, and what they may lose.
        folder: to write to, here or in a store.

    Raises:
        ConfigError: this pipeline did not export the model.
        DataError: a picture cannot be decoded.
    """
    prepare = Prepare(transform_output)
    trained = load_trained(model, dataset.num_classes, prepare.canvas_size)
    drawn = (
        draw(training, options.calibration_pictures, options.seed) if INT8 in options.kinds else []
    )
    files, problems = convert_all(trained, options, lambda: prepare.canvases(drawn))
    networks = {kind: Interpreter(files[kind], options.threads) for kind in files}
    judge = Judge(
        model,
        prepare,
        trained.logits_resize,
        networks,
        num_classes=dataset.num_classes,
        ignore_label=dataset.ignore_label,
    )
    pictures = min(count, options.pictures or count)
    for done, example in enumerate(itertools.islice(validation, pictures), start=1):
        judge.add(example)
        progress.judging(done, pictures)
    kinds = tuple(
        KindResult(kind=kind, problem=problems[kind])
        if kind in problems
        else KindResult(
            kind=kind,
            size_bytes=len(files[kind]),
            seconds=statistics.median(networks[kind].seconds),
            agreement=judge.agreement(kind),
            mean_iou=judge.mean_iou(kind),
            operators=operators(files[kind]),
        )
        for kind in options.kinds
    )
    report = TFLiteReport(
        pictures=pictures,
        threads=options.threads,
        mean_iou=judge.exported_mean_iou,
        kinds=kinds,
        reasons=reasons(kinds, judge.exported_mean_iou, options),
    )
    for kind, content in files.items():
        paths.write_bytes(paths.join(folder, file_name(kind)), content)
    align_corners = trained.logits_resize.align_corners
    described = contract(dataset, networks, align_corners=align_corners)
    paths.write_text(paths.join(folder, CONTRACT), described)
    report.write(folder)
    return report


def load_trained(model: str, num_classes: int, side: int) -> DeepLabV3Plus:
    """The network of an exported model as it was trained, in float32.

    Args:
        model: folder of the SavedModel, here or in a store.
        num_classes: that it tells apart.
        side: of its canvas, in pixels.

    Raises:
        ConfigError: this pipeline did not export it.
    """
    options = exported.read_description(model)["model"]
    network = DeepLabV3Plus(
        num_classes=num_classes, input_shape=(side, side, 3), dtype="float32", **options
    )
    with tempfile.TemporaryDirectory() as local:
        paths.copy_tree(paths.join(model, EXTRA), local)
        load_checkpoint(network, os.path.join(local, WEIGHTS))
    return network


def convert_all(
    trained: DeepLabV3Plus,
    options: TFLiteOptions,
    canvases: Callable[[], Iterable[np.ndarray]],
) -> tuple[dict[Kind, bytes], dict[Kind, str]]:
    """The files by kind, and why there is none of the other kinds.

    Args:
        trained: the network.
        options: which kinds.
        canvases: see `components.tflite.network.convert`.
    """
    network = phone_network(trained)
    files, problems = {}, {}
    for kind in options.kinds:
        progress.converting(kind)
        try:
            content = convert(network, kind, canvases)
            # Some networks convert, and then no interpreter takes them.
            Interpreter(content, options.threads)
        except PipelineError:
            raise
        # An answer, which the report names: converter and interpreter have no class for it.
        except Exception as error:
            lines = str(error).strip().splitlines()
            problems[kind] = f"{type(error).__name__}: {lines[0] if lines else 'no reason'}"
        else:
            files[kind] = content
    return files, problems


def operators(content: bytes) -> dict[str, int]:
    """How many there are of each operator with each type of result, as `CONV_2D int8`."""
    counted = collections.Counter(tflite_operators(content))
    return {f"{name} {dtype}": n for (name, dtype), n in sorted(counted.items())}
