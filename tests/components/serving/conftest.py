"""A network, small pictures of several sizes, and the model that is exported of them."""

import io

import apache_beam as beam
import keras
import numpy as np
import pytest
import tensorflow_model_analysis as tfma
import tensorflow_transform as tft
from apache_beam.options.pipeline_options import PipelineOptions
from PIL import Image
from tfx_bsl.tfxio.tf_example_record import TFExampleBeamRecord

import schemas
from components.dataset.records import Record
from components.evaluator.config import eval_config
from components.evaluator.options import EvaluationOptions
from components.serving import signatures
from models import DeepLabV3Plus
from tests.components.graphs import transform_graph

CROP, CLASSES, IGNORE = 65, 7, 255
CONFIG = {"canvas_size": CROP, "num_classes": CLASSES, "ignore_label": IGNORE}
NETWORK = {
    "backbone": "mobilenet_v2",
    "width_multiplier": 0.35,
    "aspp_depth": 16,
    "decoder_depth": 16,
    "decoder": True,
}
DESCRIPTION = {"classes": list(schemas.load("sample").class_names), "model": NETWORK}


def _encode(pixels: np.ndarray, kind: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


@pytest.fixture(scope="module")
def examples() -> list[Record]:
    """JPEG and PNG pictures of three sizes, one of them larger than the crop."""
    random = np.random.default_rng(1)
    return [
        Record(
            filename=f"{height}.{kind.lower()}",
            image=_encode(random.integers(0, 256, (height, width, 3), np.uint8), kind),
            image_format=kind.lower(),
            label=_encode(random.integers(0, CLASSES, (height, width), np.uint8), "PNG"),
            height=height,
            width=width,
        )
        for height, width, kind in ((40, 50, "JPEG"), (65, 33, "PNG"), (90, 130, "JPEG"))
    ]


@pytest.fixture(scope="module")
def transform_output(examples, tmp_path_factory) -> tft.TFTransformOutput:
    return transform_graph(examples, CONFIG, tmp_path_factory.mktemp("transform"))


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """A network whose logits differ enough that no rounding changes a class."""
    keras.utils.set_random_seed(3)
    model = DeepLabV3Plus(**NETWORK, num_classes=CLASSES, input_shape=(CROP, CROP, 3))
    kernel, bias = model.logits_layer.weights
    kernel.assign(np.random.default_rng(0).normal(size=kernel.shape))
    bias.assign(np.zeros(bias.shape))
    return model


@pytest.fixture(scope="module")
def exported_model(model, transform_output, tmp_path_factory) -> str:
    folder = str(tmp_path_factory.mktemp("export") / "model")
    served = signatures.ServedModel(
        model, transform_output, num_classes=CLASSES, ignore_label=IGNORE
    )
    signatures.export(served, folder, DESCRIPTION)
    return folder


@pytest.fixture(scope="module")
def evaluated(exported_model, examples, tmp_path_factory) -> str:
    """The folder of what the Evaluator's library says of the exported model."""
    folder = str(tmp_path_factory.mktemp("evaluated"))
    config = tfma.utils.update_eval_config_with_defaults(
        eval_config(EvaluationOptions(min_mean_iou=0.0), schemas.load("sample")),
        has_baseline=False,
        rubber_stamp=True,
    )
    with beam.Pipeline(
        options=PipelineOptions(
            ["--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner"]
        )
    ) as pipeline:
        _ = (
            pipeline
            | beam.Create([example.serialize() for example in examples])
            | TFExampleBeamRecord(
                physical_format="inmem", raw_record_column_name=tfma.ARROW_INPUT_COLUMN
            ).BeamSource()
            | tfma.ExtractEvaluateAndWriteResults(
                eval_config=config,
                eval_shared_model=tfma.default_eval_shared_model(
                    exported_model, eval_config=config
                ),
                output_path=folder,
            )
        )
    return folder


@pytest.fixture(params=["ram://", pytest.param("minio://", marks=pytest.mark.slow)])
def store(request):
    """A store of TensorFlow's, and one that speaks S3: what their addresses begin with."""
    if request.param == "ram://":
        return request.param
    return f"{request.param}{request.getfixturevalue('s3_bucket')}/"
