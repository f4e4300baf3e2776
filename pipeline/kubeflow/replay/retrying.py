"""Retries of a step, as Argo does them for a `retryPolicy`.

See `workflow/controller/operator.go: processNodeRetries` of argoproj/argo-workflows, and for what
Kubeflow hands to it `backend/src/v2/compiler/argocompiler/container.go` of kubeflow/pipelines.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf import duration_pb2

from pipeline.kubeflow.replay.driving import Outputs
from pipeline.kubeflow.replay.failing import StepFailedError


def has_fraction(policy: Mapping[str, Any]) -> bool:
    """Whether the back-off's factor is none that Argo reads: it takes whole numbers."""
    return not float(policy.get("backoffFactor", 0)).is_integer()


def with_retries(
    attempt: Callable[[float | None], Outputs],
    policy: Mapping[str, Any],
    seconds: float | None,
    on_failure: Callable[[StepFailedError, float], None],
) -> Outputs:
    """Repeats a step until it succeeds, or its policy says that it is enough.

    The back-off's maximum counts from the first attempt. When it is over, a repeated attempt is
    ended; where it is left out, Kubeflow hands on none at all, and nothing is repeated.

    Args:
        attempt: one, which is given its time limit in seconds; None for none.
        policy: `maxRetryCount`, `backoffDuration`, `backoffFactor`, `backoffMaxDuration`; of
            durations, whole seconds count.
        seconds: the time limit of every attempt; None for none.
        on_failure: called with what failed and the seconds until the next attempt.

    Raises:
        StepFailedError: of the last attempt.
    """
    deadline = time.monotonic() + _seconds(policy, "backoffMaxDuration")
    pause = _seconds(policy, "backoffDuration")
    limit = seconds
    for _ in range(int(policy.get("maxRetryCount", 0))):
        try:
            return attempt(limit)
        except StepFailedError as failed:
            if time.monotonic() + pause > deadline:
                raise
            on_failure(failed, pause)
            time.sleep(pause)
            pause *= int(policy.get("backoffFactor", 0)) or 1
            left = max(deadline - time.monotonic(), 0.0)
            limit = left if seconds is None else min(seconds, left)
    return attempt(limit)


def _seconds(policy: Mapping[str, Any], key: str) -> int:
    duration = duration_pb2.Duration()
    duration.FromJsonString(policy.get(key, "0s"))
    return duration.seconds
