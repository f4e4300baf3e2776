"""What a run builds on, as the runner has found it, and the hashes that stand for it."""

import hashlib
import json
from dataclasses import dataclass

import schemas
from components import sources
from components.fingerprint import source_fingerprint
from pipeline.config import PipelineConfig


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What a run builds on, as the runner has found it."""

    dataset: schemas.Dataset
    schema: str
    """`schema.pbtxt` of the data set."""

    records: str
    """Folder of the TFRecords, or of `span-1/`, `span-2/`, … of them."""

    records_digest: str = ""
    """Of the records; empty where the runner does not see them."""

    weights_digest: str = ""
    """Of the initial weights; empty likewise, and where there are none."""

    def made_from(self, config: PipelineConfig) -> str:
        """What a candidate is known by, see `components.sources.made_from`."""
        return sources.made_from(self.recipe(config), self.records_digest, self.weights_digest)

    def recipe(self, config: PipelineConfig) -> str:
        """A hash of all that decides the weights of the candidate, but what `Sources` looks at."""
        parts = [
            schemas.to_json(self.dataset),
            config.data.model_dump_json(),
            config.model.model_dump_json(),
            config.training.model_dump_json(),
            config.initial_weights.scope,
            *map(source_fingerprint, ("components.transform", "components.trainer")),
        ]
        if config.tuner.trials:
            parts += [config.tuner.model_dump_json(), source_fingerprint("components.tuner")]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]

    def seen(self, config: PipelineConfig, baseline: str | None) -> dict[str, str] | None:
        """What the runner has looked at, in place of `Sources`; None where it has not.

        Args:
            config: of the run.
            baseline: number of the version to measure up to, empty for none; None where the runner
                does not see what is served.
        """
        if baseline is None:
            return None
        return {
            "records_state": self.records_digest,
            "weights_state": self.weights_digest,
            "made_from": self.made_from(config),
            "baseline": baseline,
        }

    def origin(self, config: PipelineConfig) -> str:
        """What `recipe` is a hash of, and the code that judged, for the attestation; JSON.

        Nothing else: as a parameter of the Pusher it is part of its cache key.
        """
        parts = ("data", "model", "training", *(["tuner"] if config.tuner.trials else []))
        judged = ("evaluator", "serving.check", "serving.server", "serving.pusher")
        made = ("transform", "trainer", *(["tuner"] if config.tuner.trials else []))
        materials = [
            _sha256_of("schema.pbtxt", self.schema),
            _sha256_of("dataset.json", schemas.to_json(self.dataset)),
        ]
        return json.dumps(
            {
                "dataset": self.dataset.name,
                "configuration": {
                    **{part: getattr(config, part).model_dump(mode="json") for part in parts},
                    "initial_weights": {"scope": config.initial_weights.scope},
                },
                "source_fingerprints": {
                    f"components.{part}": source_fingerprint(f"components.{part}")
                    for part in (*made, *judged)
                },
                "materials": materials,
            },
            sort_keys=True,
        )


def _sha256_of(name: str, text: str) -> dict:
    """A text, as in-toto describes what something was made of."""
    return {"name": name, "digest": {"sha256": hashlib.sha256(text.encode()).hexdigest()}}
