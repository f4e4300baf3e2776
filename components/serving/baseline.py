"""What is served now, as a TFX component: the model to measure up to, and the data behind it."""

from absl import logging
from tfx.utils import path_utils

from components import runtime, tfx
from components.artifacts import DataReport, leave_empty
from components.data_gate import report
from components.serving import versions
from components.storage import paths


@tfx.dsl.components.component
def Baseline(
    model: tfx.dsl.components.OutputArtifact[tfx.types.standard_artifacts.Model],
    data_report: tfx.dsl.components.OutputArtifact[DataReport],
    name: tfx.dsl.components.Parameter[str],
    version: tfx.dsl.components.Parameter[str],
    source_fingerprint: tfx.dsl.components.Parameter[str],
):
    """Copies a version of the served model `name`, and the data gate's report on its records.

    The artifacts hold nothing where `version` is empty: nothing is served yet.

    Raises:
        FileNotFoundError: the version is gone.
    """
    del source_fingerprint  # part of the cache key only
    if not version:
        logging.info("Nothing is served yet: there is no baseline")
        for artifact in (model, data_report):
            leave_empty(artifact, "Nothing is served yet.")
        return
    found = paths.join(runtime.current().served, name, version)
    if not versions.is_whole(found):
        raise FileNotFoundError(
            f"expected the version to measure up to in {found}; got no model there; to fix, start "
            "the run again: it looks anew at what is served"
        )
    paths.copy_tree(found, path_utils.serving_model_dir(model.uri))
    for artifact in (model, data_report):
        artifact.set_string_custom_property("version", version)
    behind_it = paths.join(found, versions.EXTRA, versions.DATA_REPORT)
    if paths.exists(behind_it):
        paths.copy_file(behind_it, paths.join(data_report.uri, report.FILE))
    else:
        leave_empty(data_report, "The served version was pushed without a report on its data.")
    logging.info("The baseline is version %s of %s, which is served now", version, name)
