"""The pictures page as a TFX component."""

import io
import itertools
import os

import numpy as np
import tensorflow as tf
from PIL import Image
from tfx import v1 as tfx
from tfx.types import artifact_utils
from tfx.utils import path_utils

import schemas
from components.artifacts import PicturesPage
from components.dataset import records
from components.evaluator.results import load_evaluation
from components.report.page import Picture, contact_sheet, render_page
from components.serving import signatures
from models import metrics


@tfx.dsl.components.component
def Report(
    model: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.Model],
    examples: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.Examples],
    evaluation: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.ModelEvaluation],
    page: tfx.dsl.components.OutputArtifact[PicturesPage],
    dataset: tfx.dsl.components.Parameter[str],
    split: tfx.dsl.components.Parameter[str],
    pictures: tfx.dsl.components.Parameter[int],
    dataset_digest: tfx.dsl.components.Parameter[str],
    source_fingerprint: tfx.dsl.components.Parameter[str],
):
    """Writes `index.html` with the scores and `pictures` predictions of `split`.

    `predictions.png` beside it shows the first of them.
    """
    del dataset_digest, source_fingerprint  # part of the cache key only
    description = schemas.load(dataset)
    files = tf.io.gfile.glob(os.path.join(artifact_utils.get_split_uri([examples], split), "*"))
    stream = tf.data.TFRecordDataset(sorted(files), "GZIP").as_numpy_iterator()
    shown = _predict(
        path_utils.serving_model_path(model.uri),
        list(itertools.islice(stream, pictures)),
        description.num_classes,
    )
    html = render_page(
        description, load_evaluation(evaluation.uri), shown, title="DeepLab v3+ judged"
    )
    with tf.io.gfile.GFile(os.path.join(page.uri, "index.html"), "w") as file:
        file.write(html)
    sheet = io.BytesIO()
    contact_sheet(shown, description).save(sheet, "PNG")
    with tf.io.gfile.GFile(os.path.join(page.uri, "predictions.png"), "wb") as file:
        file.write(sheet.getvalue())


def _predict(model: str, examples: list[bytes], num_classes: int) -> list[Picture]:
    """Asks the exported model for the masks and the matrices of serialized records."""
    # The object that holds the signatures must live as long as they are called.
    loaded = tf.saved_model.load(model)
    parsed = [tf.train.Example.FromString(example).features.feature for example in examples]

    def first(features, key: str) -> bytes:
        return features[key].bytes_list.value[0]

    images = [first(features, records.IMAGE) for features in parsed]
    masks = loaded.signatures[signatures.SERVING](tf.constant(images))[signatures.MASK_BYTES]
    matrices = loaded.signatures[signatures.EVALUATE](tf.constant(examples))[
        signatures.CONFUSION_MATRIX
    ].numpy()
    return [
        Picture(
            name=first(features, records.FILENAME).decode(),
            image=image,
            truth_HW=_ids(first(features, records.LABEL)),
            prediction_HW=_ids(mask),
            mean_iou=metrics.mean_iou(matrix.reshape(num_classes, num_classes)),
        )
        for features, image, mask, matrix in zip(
            parsed, images, masks.numpy(), matrices, strict=True
        )
    ]


def _ids(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))
