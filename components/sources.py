"""What a run builds on, as the first step finds it: records, initial weights, what is served.

Every other step is answered from the cache where what it takes has not changed, on every runner.
What lies outside of the pipeline is looked at here, anew in every run, and handed on as parameters:
equal ones void nothing. A runner that has looked itself gives what it has seen.
"""

import hashlib
import json
import os

from absl import logging
from tfx.dsl.component.experimental.annotations import OutputDict

from components import runtime, tfx
from components.dataset import source
from components.initial_weights import find
from components.initial_weights.options import InitialWeightsOptions
from components.serving import succession
from components.storage import paths


def made_from(recipe: str, records: str, weights: str) -> str:
    """A hash of all that decides the weights of a candidate, see `serving.versions.Provenance`.

    Args:
        recipe: a hash of data set, configuration and code.
        records: what tells the records from others.
        weights: the same of the initial weights.
    """
    return hashlib.sha256(json.dumps([recipe, records, weights]).encode()).hexdigest()[:16]


@tfx.dsl.components.component
def Sources(
    folder: tfx.dsl.components.Parameter[str],
    patterns: tfx.dsl.components.Parameter[str],
    window: tfx.dsl.components.Parameter[int],
    weights: tfx.dsl.components.Parameter[str],
    name: tfx.dsl.components.Parameter[str],
    recipe: tfx.dsl.components.Parameter[str],
    push: tfx.dsl.components.Parameter[int],
    seen: tfx.dsl.components.Parameter[str],
    source_fingerprint: tfx.dsl.components.Parameter[str],
) -> OutputDict(records_state=str, weights_state=str, made_from=str, baseline=str):
    """Finds what tells the records and the weights from others, and what to measure up to.

    Args:
        folder: of the records, or of spans of them.
        patterns: JSON, file patterns by split.
        window: so many of the newest spans; 0: all.
        weights: `InitialWeightsOptions` as JSON.
        name: of the served model.
        recipe: see `made_from`.
        push: 1 where the model is to be pushed, 0 where it is only judged.
        seen: JSON with the other outputs where the runner has looked; else empty.
        source_fingerprint: part of the cache key only.

    Returns:
        `baseline` is the number of the newest served version that another run has pushed; empty
        for none.

    Raises:
        DataError: there are no records.
        ConfigError: there are no such weights.
        NotBlessedError: a rollback took back what this run would make again.
    """
    del source_fingerprint
    if seen:
        return json.loads(seen)
    place = runtime.current()
    records = source.state(folder, json.loads(patterns), window)
    options = InitialWeightsOptions.from_json(weights)
    state = find.state(options, served=place.served, name=name)
    origin = made_from(recipe, records, state)
    versions = paths.join(place.served, name)
    if push:
        succession.require_not_taken_back(versions, origin)
    baseline = succession.baseline_version(versions, origin)
    logging.info("Records %s, weights %s, baseline %s", records, state or "none", baseline)
    return {
        "records_state": records,
        "weights_state": state,
        "made_from": origin,
        "baseline": os.path.basename(baseline) if baseline else "",
    }
