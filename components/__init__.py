"""The steps of the pipeline, in the order of the data's way: plain functions in thin TFX shells."""
