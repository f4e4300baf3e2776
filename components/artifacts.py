"""Artifact types of our own; everything else is a standard TFX artifact."""

from tfx.v1.dsl import Artifact


class DataReport(Artifact):
    """What the data gate measured."""

    TYPE_NAME = "DataReport"


class PicturesPage(Artifact):
    """An HTML page with predictions and scores, `index.html`."""

    TYPE_NAME = "PicturesPage"
