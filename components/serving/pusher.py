"""Pushing as a TFX component: a blessed model that serves becomes the newest version."""

import json
import math
import os
from collections.abc import Mapping
from typing import Any

from absl import logging
from tfx.components.util import model_utils
from tfx.utils import path_utils

from components import runtime, tfx
from components.artifacts import DataReport, TFLiteModels, leave_empty
from components.data_gate import report
from components.evaluator.results import load_evaluation, load_thresholds
from components.serving import batching, models_config, pushing, succession, versions, warm_up
from components.serving.push_options import PushOptions
from components.serving.signing import attestation
from components.storage import paths
from components.tflite import results as tflite_results

_LOOKED_AT = 64
"""Records of which the smallest warm a server up."""
_WARM_UP = f"{versions.EXTRA}/{warm_up.FILE}"


@tfx.dsl.components.component
def Pusher(
    model: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.Model],
    model_blessing: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.ModelBlessing],
    infra_blessing: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.InfraBlessing],
    evaluation: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.ModelEvaluation],
    data_report: tfx.dsl.components.InputArtifact[DataReport],
    pushed_model: tfx.dsl.components.OutputArtifact[tfx.types.standard_artifacts.PushedModel],
    name: tfx.dsl.components.Parameter[str],
    pipeline: tfx.dsl.components.Parameter[str],
    made_from: tfx.dsl.components.Parameter[str],
    records_state: tfx.dsl.components.Parameter[str],
    weights_state: tfx.dsl.components.Parameter[str],
    origin: tfx.dsl.components.Parameter[str],
    options: tfx.dsl.components.Parameter[str],
    source_fingerprint: tfx.dsl.components.Parameter[str],
    tflite: tfx.dsl.components.InputArtifact[TFLiteModels] = None,
):
    """Pushes to `<served>/<name>/<version>/`, with what it is warmed up with and was made from.

    `made_from` and the two states are of `components.sources`, `origin` is JSON, see
    `pipeline.graph.Inputs.origin`.

    TFX's own Pusher adds nothing to a version, and takes the destination as a parameter. The
    properties of the artifact are those that TFX's gives: `pushed`, `pushed_destination`,
    `pushed_version`; `is_new` is 0 where the model was the newest version already,
    `pushed_content` is the hash of its files, `label` what clients may ask for it by.
    `options` is `PushOptions` as JSON.

    Raises:
        NotBlessedError: a rollback took back what this is made from.
    """
    del source_fingerprint  # part of the cache key only
    wanted = PushOptions.from_json(options)
    if not (
        model_utils.is_model_blessed(model_blessing)
        and model_utils.is_infra_validated(infra_blessing)
        and (tflite is None or tflite_results.TFLiteReport.read(tflite.uri).blessed)
        and wanted.enabled
    ):
        pushed_model.set_int_custom_property("pushed", 0)
        leave_empty(pushed_model, "The model was not blessed, or was not to be pushed.")
        return
    folder = paths.join(runtime.current().served, name)
    succession.require_not_taken_back(folder, made_from)
    source = path_utils.serving_model_path(model.uri)
    added = _added(infra_blessing.uri, wanted)
    added |= {} if tflite is None else tflite_results.pushed_files(tflite.uri)
    version = versions.newest_version(folder)
    # A server takes the highest number, even if there is no model.
    is_new = version is None or version != versions.numbered(folder)[0]
    is_new = is_new or not _is_same(version, source, made_from, added)
    if not is_new:
        logging.info("This very model is served already, as version %s", os.path.basename(version))
    else:
        predicted = json.dumps(load_evaluation(evaluation.uri).predicted_pixels())
        added[f"{versions.EXTRA}/{versions.PREDICTED}"] = predicted.encode()
        found = paths.read_bytes(paths.join(data_report.uri, report.FILE))
        data = report.from_json(found.decode())
        verdict = _verdict(evaluation.uri, succession.baseline_version(folder, made_from))
        provenance = versions.Provenance(
            made_from=made_from,
            pipeline=pipeline,
            pushed_at=succession.now(),
            mean_iou=verdict["candidate"]["mean_iou"],
        )
        known = json.loads(origin)
        version = pushing.push(
            source,
            folder,
            {**added, f"{versions.EXTRA}/{versions.DATA_REPORT}": found},
            provenance,
            predicate=attestation.predicate(
                provenance,
                configuration=known["configuration"] | {"push": wanted.model_dump(mode="json")},
                fingerprints=known["source_fingerprints"],
                materials=[
                    *known["materials"],
                    *_states(records_state, weights_state),
                    *map(_material, data.sources),
                ],
                verdict=verdict,
            ),
            data={
                f"{known['dataset']} {each.name}".strip(): {
                    "records_digest": each.digest,
                    "records": json.dumps({s: m.records for s, m in each.splits.items()}),
                }
                for each in data.sources
            },
            signing=runtime.current().signing,
        )
    number = os.path.basename(version)
    models_config.label(folder, int(number), wanted.label)
    _remove_older(folder, made_from, wanted.keep_versions)
    pushed_model.set_int_custom_property("pushed", 1)
    pushed_model.set_int_custom_property("is_new", int(is_new))
    pushed_model.set_string_custom_property("pushed_destination", version)
    pushed_model.set_string_custom_property("pushed_content", versions.content(version))
    pushed_model.set_string_custom_property("pushed_version", number)
    pushed_model.set_string_custom_property("label", _label(folder, number))
    paths.write_text(
        paths.join(pushed_model.uri, "pushed.json"), json.dumps({"destination": version})
    )


def _verdict(evaluation: str, baseline: str | None) -> dict[str, Any]:
    """What the Evaluator measured, asked for and compared with, as JSON has it: no NaN."""
    found = load_evaluation(evaluation)
    return {
        "blessed": found.blessed,
        "candidate": _numbers(found.candidate),
        "baseline": found.baseline and _numbers(found.baseline),
        "baseline_version": baseline and os.path.basename(baseline),
        "thresholds": load_thresholds(evaluation),
    }


def _numbers(metrics: Mapping[str, float]) -> dict[str, float | None]:
    return {
        name: value if math.isfinite(value) else None for name, value in sorted(metrics.items())
    }


def _states(records: str, weights: str) -> list[dict[str, Any]]:
    """What was looked at, as in-toto describes what something was made of."""
    found = {"files of the records": records, "initial weights": weights}
    return [
        {"name": name, "digest": {"deeplabState": digest}}
        for name, digest in found.items()
        if digest
    ]


def _material(source: report.Source) -> dict[str, Any]:
    """Records, as in-toto describes what something was made of."""
    return {
        "name": source.name or "records",
        "digest": {"deeplabRecords": source.digest},
        "annotations": {split: measured.records for split, measured in source.splits.items()},
    }


def _label(folder: str, number: str) -> str:
    """What a version is asked for by: a canary without a stable one beside it is that itself."""
    (label,) = (name for name, at in models_config.labels(folder).items() if at == int(number))
    return label


def _added(infra_blessing: str, options: PushOptions) -> dict[str, bytes]:
    """What a server needs beside the model, by the path in the version.

    Args:
        infra_blessing: folder of what the serving check gave.
        options: of the push.
    """
    text = batching.parameters(options.batch_sizes, options.batch_timeout_micros)
    added = {batching.FILE: text.encode()}
    if options.warm_up_records:
        added[_WARM_UP] = paths.read_bytes(paths.join(infra_blessing, warm_up.FILE))
    return added


def _is_same(version: str, model: str, made_from: str, added: dict[str, bytes]) -> bool:
    """Whether a version is this model, whole, of this origin, and served by the same rules."""
    known, identity = versions.read_provenance(version), versions.identity(model)
    # Equal weights of other code or data are another version: it says what it was made from.
    if known is None or known.made_from != made_from or identity is None:
        return False
    if versions.identity(version) != identity or not versions.is_unharmed(version):
        return False
    folder = paths.join(version, tflite_results.PUSHED)
    for_phones = (f"{tflite_results.PUSHED}/{name}" for name in paths.list_folder(folder))
    files = {n: paths.join(version, n) for n in (batching.FILE, _WARM_UP, *for_phones)}
    there = {name: paths.read_bytes(file) for name, file in files.items() if paths.exists(file)}
    return there == added


def _remove_older(folder: str, made_from: str, keep: int) -> None:
    """Removes the versions that the options do not keep, and that nothing needs."""
    if not keep:
        return
    needed = {str(number) for number in models_config.labels(folder).values()}
    baseline = succession.baseline_version(folder, made_from)
    if baseline is not None:  # A repeated run measures up to it again.
        needed.add(os.path.basename(baseline))
    for path in pushing.remove_older(folder, keep, needed):
        logging.info("Removed version %s: the newest %d stay", path, keep)
