"""The pictures page as a TFX component."""

import io

import numpy as np
import tensorflow as tf
from PIL import Image
from tfx.types import artifact_utils
from tfx.utils import path_utils

import schemas
from components import tfx
from components.artifacts import DataReport, PicturesPage, TFLiteModels
from components.data_gate import report
from components.dataset import records
from components.dataset.decoding.exif import UPRIGHT
from components.dataset.decoding.image import decode_image, decode_label
from components.dataset.limits import DEFAULT
from components.evaluator.results import load_evaluation
from components.examples import first_records
from components.pictures import encode
from components.report.advice import advise
from components.report.page import Picture, contact_sheet, render_page
from components.serving import interface
from components.storage import paths
from components.tflite.results import TFLiteReport
from components.trainer import history
from models import metrics
from models.confusion import confusion_matrix


@tfx.dsl.components.component
def Report(
    model: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.Model],
    examples: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.Examples],
    evaluation: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.ModelEvaluation],
    data_report: tfx.dsl.components.InputArtifact[DataReport],
    model_run: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.ModelRun],
    page: tfx.dsl.components.OutputArtifact[PicturesPage],
    dataset: tfx.dsl.components.Parameter[str],
    split: tfx.dsl.components.Parameter[str],
    pictures: tfx.dsl.components.Parameter[int],
    source_fingerprint: tfx.dsl.components.Parameter[str],
    tflite: tfx.dsl.components.InputArtifact[TFLiteModels] = None,
):
    """Writes `index.html` with the scores and `pictures` predictions of `split`.

    `predictions.png` beside it shows the first of them. `dataset` is JSON.
    """
    del source_fingerprint  # part of the cache key only
    description = schemas.from_json(dataset)
    shown = _predict(
        path_utils.serving_model_path(model.uri),
        first_records(artifact_utils.get_split_uri([examples], split), pictures),
        description,
    )
    html = render_page(
        description,
        load_evaluation(evaluation.uri),
        report.from_json(paths.read_text(paths.join(data_report.uri, report.FILE))),
        shown,
        advise(history.read(model_run.uri)),
        None if tflite is None else TFLiteReport.read(tflite.uri),
        title="DeepLab v3+ judged",
    )
    paths.write_text(paths.join(page.uri, "index.html"), html)
    sheet = io.BytesIO()
    contact_sheet(shown, description).save(sheet, "PNG")
    paths.write_bytes(paths.join(page.uri, "predictions.png"), sheet.getvalue())


def _predict(model: str, examples: list[bytes], dataset: schemas.Dataset) -> list[Picture]:
    """Asks the exported model for the masks of serialized records, and compares them."""
    parsed = [tf.train.Example.FromString(example).features.feature for example in examples]

    def first(features, key: str) -> bytes:
        return features[key].bytes_list.value[0]

    images = [first(features, records.IMAGE) for features in parsed]
    shown = []
    for features, image, mask in zip(parsed, images, _masks(model, images), strict=True):
        truth_HW = decode_label(first(features, records.LABEL), DEFAULT).pixels[..., 0].numpy()
        prediction_HW = np.asarray(Image.open(io.BytesIO(mask)))
        matrix_1CC, _ = confusion_matrix(
            truth_HW[None], prediction_HW[None], dataset.num_classes, dataset.ignore_label
        )
        shown.append(
            Picture(
                name=first(features, records.FILENAME).decode(),
                image=_upright(image),
                truth_HW=truth_HW,
                prediction_HW=prediction_HW,
                mean_iou=metrics.mean_iou(np.asarray(matrix_1CC)[0]),
            )
        )
    return shown


def _masks(model: str, images: list[bytes]) -> list[bytes]:
    """PNG files of what the model says of a few pictures' files."""
    # TensorFlow would take longer to make the graph faster than these pictures take without.
    before = tf.config.optimizer.get_experimental_options()
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    try:
        # The object that holds the signatures must live as long as they are called.
        loaded = tf.saved_model.load(model)
        answer = loaded.signatures[interface.SERVING](tf.constant(images))
        return list(answer[interface.MASK_BYTES].numpy())
    finally:
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False} | before)


def _upright(image: bytes) -> bytes:
    """The picture's file, written anew where it does not lie upright."""
    pixels, _, orientation = decode_image(image, DEFAULT)
    return image if orientation == UPRIGHT else encode(Image.fromarray(pixels.numpy()), "PNG")
