"""Finds the model that a candidate has to measure up to."""

from tfx.dsl.components.common.resolver import ResolverStrategy


class LatestOtherBlessedModelStrategy(ResolverStrategy):
    """The latest blessed model that is not the candidate itself.

    TFX's own strategy gives the latest blessed model. When a run is repeated unchanged, that is
    the candidate: it would be measured against itself and pushed again. Without the candidate the
    inputs of a repeated run are those of the first, and the cache answers for Evaluator and Pusher.
    """

    def resolve_artifacts(self, store, input_dict):
        """See the base class; the keys are `candidate`, `model` and `model_blessing`."""
        del store
        candidates = {artifact.id for artifact in input_dict["candidate"]}
        blessings = {
            artifact.get_int_custom_property("current_model_id"): artifact
            for artifact in input_dict["model_blessing"]
            if artifact.get_int_custom_property("blessed") == 1
        }
        models = [
            artifact
            for artifact in input_dict["model"]
            if artifact.id in blessings and artifact.id not in candidates
        ]
        latest = max(models, key=lambda artifact: artifact.id, default=None)
        return {
            "candidate": input_dict["candidate"],
            "model": [latest] if latest else [],
            "model_blessing": [blessings[latest.id]] if latest else [],
        }
