"""What Kubeflow's launcher does with a task: inputs down, the command, outputs up.

See `backend/src/v2/component/launcher_v2.go` of kubeflow/pipelines. Where that only warns of an
output that is not there, this fails.
"""

import json
import re
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from google.protobuf import duration_pb2, json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from pipeline.kubeflow.replay import driving
from pipeline.kubeflow.replay.driving import Outputs
from pipeline.kubeflow.replay.sandbox import Sandbox
from pipeline.kubeflow.replay.stores import Store
from pipeline.kubeflow.step import places

_LARGEST_ARGUMENT = 128 * 1024
"""Bytes; Linux starts no program with a longer one."""


class StepFailedError(Exception):
    """A step has failed for good.

    Attributes:
        code: its exit code.
    """

    def __init__(self, code: int, reason: str):
        super().__init__(reason)
        self.code = code


def command(container: Mapping[str, Any], executor_input: Mapping[str, Any]) -> list[str]:
    """The words of a container's command, with the placeholders filled in.

    Raises:
        StepFailedError: Linux would not start it.
    """
    known = _placeholders(executor_input)
    pattern = re.compile("|".join(re.escape(key) for key in known))
    words = [
        pattern.sub(lambda found: known[found.group()], word)
        for word in (*container.get("command", ()), *container.get("args", ()))
    ]
    for word in words:
        if len(word.encode()) >= _LARGEST_ARGUMENT:
            raise StepFailedError(
                126, f"expected arguments below 128 KiB; got one of {len(word.encode())} bytes"
            )
    return words


def _placeholders(executor_input: Mapping[str, Any]) -> dict[str, str]:
    known = {"{{$}}": json.dumps(executor_input, ensure_ascii=False)}
    for side in ("inputs", "outputs"):
        for name, found in executor_input[side]["artifacts"].items():
            if found["artifacts"]:
                uri = found["artifacts"][0]["uri"]
                known[f"{{{{$.{side}.artifacts['{name}'].uri}}}}"] = uri
                known[f"{{{{$.{side}.artifacts['{name}'].path}}}}"] = places.local(uri)
    for name, value in executor_input["inputs"]["parameterValues"].items():
        text = value if isinstance(value, str) else json.dumps(value)
        known[f"{{{{$.inputs.parameters['{name}']}}}}"] = text
    for name, found in executor_input["outputs"]["parameters"].items():
        known[f"{{{{$.outputs.parameters['{name}'].output_file}}}}"] = found["outputFile"]
    return known


def launch(
    store: Store,
    make_sandbox: Callable[[], Sandbox],
    words: list[str],
    executor_input: Mapping[str, Any],
    environment: Mapping[str, str],
    seconds: float | None,
    log: IO[bytes],
) -> Outputs:
    """Runs one attempt of a step.

    Args:
        store: of the artifacts.
        make_sandbox: gives an empty one.
        words: the command.
        executor_input: see `driving`.
        environment: variables of the container.
        seconds: its time limit; None for none.
        log: what the step prints goes there.

    Raises:
        StepFailedError: it ended with another exit code than 0, or an output is not there.
    """
    sandbox = make_sandbox()
    try:
        for found in executor_input["inputs"]["artifacts"].values():
            for artifact in found["artifacts"]:
                store.download(artifact["uri"], sandbox.root)
        outputs = executor_input["outputs"]
        for found in outputs["artifacts"].values():
            for artifact in found["artifacts"]:
                _inside(sandbox, places.local(artifact["uri"])).parent.mkdir(
                    parents=True, exist_ok=True
                )
        for found in outputs["parameters"].values():
            _inside(sandbox, found["outputFile"]).parent.mkdir(parents=True, exist_ok=True)
        code = sandbox.run(words, environment, seconds, log)
        if code:
            limit = f", for its limit is {seconds:g} s" if code == 124 and seconds else ""
            raise StepFailedError(code, f"its command ended with exit code {code}{limit}")
        return _collected(store, sandbox, executor_input)
    finally:
        shutil.rmtree(sandbox.root)


def _inside(sandbox: Sandbox, path: str) -> Path:
    return sandbox.root / path.lstrip("/")


def _collected(store: Store, sandbox: Sandbox, executor_input: Mapping[str, Any]) -> Outputs:
    written = _output_file(_inside(sandbox, executor_input["outputs"]["outputFile"]))
    artifacts = driving.merged(executor_input, written)
    missing = [
        name
        for name, found in artifacts.items()
        if not all([store.upload(artifact["uri"], sandbox.root) for artifact in found])
    ]
    parameters = dict(written.get("parameterValues", {}))
    for name, found in executor_input["outputs"]["parameters"].items():
        file = _inside(sandbox, found["outputFile"])
        if file.is_file():
            parameters[name] = file.read_text()
        elif name not in parameters:
            missing.append(name)
    if missing:
        raise StepFailedError(
            1,
            f"expected all of its outputs; got none of {', '.join(sorted(missing))}, of which "
            "Kubeflow only warns",
        )
    return Outputs(artifacts=artifacts, parameters=parameters)


def _output_file(file: Path) -> dict[str, Any]:
    """What the step says of its outputs, read as strictly as in Go."""
    if not file.is_file():
        return {}
    message = pipeline_spec_pb2.ExecutorOutput()
    try:
        json_format.Parse(file.read_text(), message)
    except (json_format.ParseError, UnicodeDecodeError) as error:
        raise StepFailedError(
            1, f"expected an ExecutorOutput in {driving.OUTPUT_FILE}; got {error}"
        ) from error
    return json_format.MessageToDict(message)


def with_retries(
    attempt: Callable[[], Outputs],
    policy: Mapping[str, Any],
    on_failure: Callable[[StepFailedError, float], None],
) -> Outputs:
    """Repeats a step as its `retryPolicy` says, with Argo's back-off.

    Args:
        attempt: one.
        policy: `maxRetryCount`, `backoffDuration`, `backoffFactor`, `backoffMaxDuration`.
        on_failure: called with what failed and the seconds until the next attempt.

    Raises:
        StepFailedError: of the last attempt.
    """
    limit = int(policy.get("maxRetryCount", 0))
    pause = _seconds(policy.get("backoffDuration", "0s"))
    factor = float(policy.get("backoffFactor", 0)) or 1.0
    longest = _seconds(policy.get("backoffMaxDuration", "0s"))
    started = time.monotonic()
    for _ in range(limit):
        try:
            return attempt()
        except StepFailedError as failed:
            # Argo's maximum is of the time since the first attempt (`backoff.maxDuration`).
            if longest and time.monotonic() - started + pause > longest:
                raise
            on_failure(failed, pause)
            time.sleep(pause)
            pause *= factor
    return attempt()


def _seconds(text: str) -> float:
    duration = duration_pb2.Duration()
    duration.FromJsonString(text)
    return duration.ToTimedelta().total_seconds()
