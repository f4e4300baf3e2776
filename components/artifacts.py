"""Artifact types of our own; everything else is a standard TFX artifact.

Kubeflow takes the names of custom types only with a namespace.
"""

from tfx.types.artifact import Artifact

from components.storage import paths

_EMPTY = "EMPTY"


class DataReport(Artifact):
    """What the data gate measured, see `components.data_gate.report`."""

    TYPE_NAME = "deeplab.DataReport"


class PicturesPage(Artifact):
    """Predictions and scores as a page, `index.html`, and the first predictions as a picture."""

    TYPE_NAME = "deeplab.PicturesPage"


class TFLiteModels(Artifact):
    """Files for phones, their contract and what they are worth, see `components.tflite`."""

    TYPE_NAME = "deeplab.TFLiteModels"


def leave_empty(artifact: Artifact, because: str) -> None:
    """Says in an output that it holds nothing; what takes it asks for the files it needs.

    A component always gives its artifacts, but stores keep no empty folders.

    Args:
        artifact: the output; its folder is there.
        because: a sentence.
    """
    paths.write_text(paths.join(artifact.uri, _EMPTY), f"{because}\n")
