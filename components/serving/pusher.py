"""Pushing as a TFX component: a blessed model that serves becomes the newest version."""

import json
import os
from datetime import UTC, datetime

from absl import logging
from tfx.components.util import model_utils
from tfx.utils import path_utils

from components import runtime, tfx
from components.artifacts import DataReport
from components.data_gate import report
from components.serving import versions
from components.storage import paths


@tfx.dsl.components.component
def Pusher(
    model: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.Model],
    model_blessing: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.ModelBlessing],
    infra_blessing: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.InfraBlessing],
    data_report: tfx.dsl.components.InputArtifact[DataReport],
    pushed_model: tfx.dsl.components.OutputArtifact[tfx.types.standard_artifacts.PushedModel],
    name: tfx.dsl.components.Parameter[str],
    pipeline: tfx.dsl.components.Parameter[str],
    made_from: tfx.dsl.components.Parameter[str],
    source_fingerprint: tfx.dsl.components.Parameter[str],
):
    """Pushes to `<served>/<name>/<version>/`, with the data report and the provenance in it.

    TFX's own Pusher adds nothing to a version, and takes the destination as a parameter. The
    properties of the artifact are those that TFX's gives: `pushed`, `pushed_destination`,
    `pushed_version`; `is_new` is 0 where the model was the newest version already, and
    `pushed_content` is the hash of its files.
    """
    del source_fingerprint  # part of the cache key only
    if not (
        model_utils.is_model_blessed(model_blessing)
        and model_utils.is_infra_validated(infra_blessing)
    ):
        pushed_model.set_int_custom_property("pushed", 0)
        return
    folder = paths.join(runtime.current().served, name)
    source = path_utils.serving_model_path(model.uri)
    version, identity = versions.newest_version(folder), versions.identity(source)
    known = versions.read_provenance(version) if version is not None else None
    # Equal weights of other code or data are another version: it says what it was made from.
    is_new = (
        known is None
        or known.made_from != made_from
        or identity is None
        or versions.identity(version) != identity
        or not versions.is_unharmed(version)
        # A server takes the highest number, even if there is no model.
        or versions.numbered(folder)[0] != version
    )
    if not is_new:
        logging.info("This very model is served already, as version %s", os.path.basename(version))
    else:
        version = versions.push(
            source,
            folder,
            {versions.DATA_REPORT: paths.read_text(paths.join(data_report.uri, report.FILE))},
            versions.Provenance(
                made_from=made_from,
                pipeline=pipeline,
                pushed_at=datetime.now(UTC).isoformat(timespec="seconds"),
            ),
        )
    pushed_model.set_int_custom_property("pushed", 1)
    pushed_model.set_int_custom_property("is_new", int(is_new))
    pushed_model.set_string_custom_property("pushed_destination", version)
    pushed_model.set_string_custom_property("pushed_content", versions.content(version))
    pushed_model.set_string_custom_property("pushed_version", os.path.basename(version))
    paths.write_text(
        paths.join(pushed_model.uri, "pushed.json"), json.dumps({"destination": version})
    )
