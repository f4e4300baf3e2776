"""Artifact types of our own; everything else is a standard TFX artifact."""

from tfx.v1.dsl import Artifact


class DataReport(Artifact):
    """What the data gate measured."""

    TYPE_NAME = "DataReport"


class PicturesPage(Artifact):
    """Predictions and scores as a page, `index.html`, and the first predictions as a picture."""

    TYPE_NAME = "PicturesPage"
