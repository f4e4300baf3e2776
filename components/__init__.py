"""The steps of the pipeline: plain functions in thin TFX shells."""

from components import settings

settings.fix()
