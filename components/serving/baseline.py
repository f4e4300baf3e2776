"""What is served now, as a TFX component: the model to measure up to, and the data behind it."""

import os

from absl import logging
from tfx.utils import path_utils

from components import runtime, tfx
from components.artifacts import DataReport, leave_empty
from components.data_gate import report
from components.serving import succession, versions
from components.storage import paths

NEWEST = "newest"
"""In place of a version's number: looked up when the step runs."""


@tfx.dsl.components.component
def Baseline(
    model: tfx.dsl.components.OutputArtifact[tfx.types.standard_artifacts.Model],
    data_report: tfx.dsl.components.OutputArtifact[DataReport],
    name: tfx.dsl.components.Parameter[str],
    version: tfx.dsl.components.Parameter[str],
    made_from: tfx.dsl.components.Parameter[str],
    source_fingerprint: tfx.dsl.components.Parameter[str],
):
    """Copies the served model `name`, and the data gate's report on the records behind it.

    The artifacts stay empty where nothing is served. `version` is the number of the version, empty
    for none, or `NEWEST`, which passes over what a run made from the same has pushed; a runner that
    sees the folder gives the number, so that a repeated run is answered from the cache.

    Raises:
        FileNotFoundError: the version is gone.
    """
    del source_fingerprint  # part of the cache key only
    folder = paths.join(runtime.current().served, name)
    if version == NEWEST:
        found = succession.baseline_version(folder, made_from)
    else:
        found = paths.join(folder, version) if version else None
    if found is None:
        logging.info("Nothing is served yet: there is no baseline")
        for artifact in (model, data_report):
            leave_empty(artifact, "Nothing is served yet.")
        return
    number = os.path.basename(found)
    paths.copy_tree(found, path_utils.serving_model_dir(model.uri))
    for artifact in (model, data_report):
        artifact.set_string_custom_property("version", number)
    behind_it = paths.join(found, versions.EXTRA, versions.DATA_REPORT)
    if paths.exists(behind_it):
        paths.copy_file(behind_it, paths.join(data_report.uri, report.FILE))
    else:
        leave_empty(data_report, "The served version was pushed without a report on its data.")
    logging.info("The baseline is version %s of %s, which is served now", number, name)
