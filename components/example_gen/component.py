"""TFX's ImportExampleGen without the shuffle."""

import os

from apache_beam import ParDo
from apache_beam.io import WriteToTFRecord
from tfx import v1 as tfx
from tfx.components.example_gen.import_example_gen.executor import Executor
from tfx.components.example_gen.write_split import DEFAULT_TF_RECORD_FILE_NAME, MaybeSerialize
from tfx.dsl.components.base.executor_spec import BeamExecutorSpec
from tfx.types.artifact_utils import get_split_uri
from tfx.types.standard_component_specs import EXAMPLES_KEY


class ImportExampleGenExecutor(Executor):
    """Copies records in their order, in memory that does not grow with their number.

    TFX's own shuffles first, for which Beam's local runner holds the data set four times over;
    records are shuffled while training. For TFRecords, not for Parquet.
    """

    def Do(self, input_dict, output_dict, exec_properties):
        """See `BaseExampleGenExecutor`; keeps where to write for the next method."""
        self._examples = output_dict[EXAMPLES_KEY]
        super().Do(input_dict, output_dict, exec_properties)

    def GenerateExamplesByBeam(self, pipeline, exec_properties):
        """Writes the splits itself and leaves TFX none to shuffle and write."""
        splits = super().GenerateExamplesByBeam(pipeline, exec_properties)
        for name, examples in splits.items():
            prefix = os.path.join(get_split_uri(self._examples, name), DEFAULT_TF_RECORD_FILE_NAME)
            _ = (
                examples
                | f"Serialize[{name}]" >> ParDo(MaybeSerialize())
                | f"Write[{name}]" >> WriteToTFRecord(prefix, file_name_suffix=".gz")
            )
        return {}


class ImportExampleGen(tfx.components.ImportExampleGen):
    """See `tfx.components.ImportExampleGen`."""

    EXECUTOR_SPEC = BeamExecutorSpec(ImportExampleGenExecutor)
