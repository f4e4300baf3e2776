"""What Kubeflow's launcher does with a task: inputs down, the command, outputs up.

See `backend/src/v2/component/launcher_v2.go` of kubeflow/pipelines. Where that only warns of what
is not there, or drops it, this fails.
"""

import hashlib
import shutil
from collections.abc import Mapping
from typing import IO, Any

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from pipeline.kubeflow.check.compiled import Component
from pipeline.kubeflow.replay import values
from pipeline.kubeflow.replay.driving import OUTPUT_FILE, Outputs
from pipeline.kubeflow.replay.failing import StepFailedError
from pipeline.kubeflow.replay.sandbox import TOO_LONG, Sandbox
from pipeline.kubeflow.replay.stores import Store

_SESSION = '{"Provider":"","Params":null}'
"""What the launcher keeps of a store that needs no secret."""


def launch(
    store: Store,
    sandbox: Sandbox,
    words: list[str],
    executor_input: Mapping[str, Any],
    component: Component,
    environment: Mapping[str, str],
    seconds: float | None,
    log: IO[bytes],
) -> Outputs:
    """Runs one attempt of a step.

    Args:
        store: of the artifacts.
        sandbox: an empty one; is removed.
        words: the command.
        executor_input: see `driving`.
        component: that is run.
        environment: variables of the container.
        seconds: its time limit; None for none.
        log: what the step prints goes there.

    Raises:
        StepFailedError: it ended with another exit code than 0, an input is not in the store, or
            an output is not there, is another than the component has, or lies elsewhere.
    """
    try:
        for name, found in executor_input["inputs"]["artifacts"].items():
            for artifact in found["artifacts"]:
                if not store.download(artifact["uri"], sandbox.root):
                    raise StepFailedError(
                        1,
                        f"expected its input {name} at {artifact['uri']} in the store; got nothing "
                        f"there; to fix, remove {store.cache}, so that the steps run again",
                    )
        outputs = executor_input["outputs"]
        for found in outputs["artifacts"].values():
            for artifact in found["artifacts"]:
                store.local(artifact["uri"], sandbox.root).parent.mkdir(parents=True, exist_ok=True)
        for found in outputs["parameters"].values():
            sandbox.inside(found["outputFile"]).parent.mkdir(parents=True, exist_ok=True)
        code = sandbox.run(words, environment, seconds, log)
        if code == TOO_LONG:
            raise StepFailedError(code, f"it took longer than its time limit of {seconds:g} s")
        if code:
            raise StepFailedError(code, f"its command ended with exit code {code}")
        return _collected(store, sandbox, executor_input, component)
    finally:
        shutil.rmtree(sandbox.root)


def _collected(
    store: Store, sandbox: Sandbox, executor_input: Mapping[str, Any], component: Component
) -> Outputs:
    """The outputs, moved to the store."""
    outputs = executor_input["outputs"]
    written = _output_file(sandbox, outputs["outputFile"])
    artifacts, missing = {}, []
    for name, provisioned in outputs["artifacts"].items():
        said = written.get("artifacts", {}).get(name, {}).get("artifacts", [])
        artifact = _merged(name, provisioned["artifacts"][0], said)
        artifacts[name] = _recorded(name, artifact)
        root = outputs["outputFile"].removesuffix(OUTPUT_FILE)
        if not store.is_below(artifact["uri"], root):
            raise StepFailedError(
                1,
                f"expected its output {name} below the root of the step; got {artifact['uri']}, "
                "which nothing has uploaded",
            )
        if not store.upload(artifact["uri"], sandbox):
            missing.append(name)
    parameters = {}
    for name, found in outputs["parameters"].items():
        kind = component.outputs("parameters")[name]["parameterType"]
        file = sandbox.inside(found["outputFile"])
        if name in written.get("parameterValues", {}):
            parameters[name] = values.plain(written["parameterValues"][name])
        elif file.is_file():
            try:
                parameters[name] = values.read(sandbox.read(found["outputFile"]), kind)
            except ValueError as error:
                raise StepFailedError(1, f"its output {name}: {error}") from error
        else:
            missing.append(name)
    if missing:
        raise StepFailedError(
            1,
            f"expected files of all of its outputs; got none of {', '.join(sorted(missing))}, of "
            "which Kubeflow only warns",
        )
    return Outputs(artifacts=artifacts, parameters=parameters)


def _output_file(sandbox: Sandbox, path: str) -> dict[str, Any]:
    """What the step says of its outputs, read as strictly as in Go; empty if it says nothing."""
    if not sandbox.inside(path).is_file():
        return {}
    message = pipeline_spec_pb2.ExecutorOutput()
    try:
        json_format.Parse(sandbox.read(path), message)
    except (json_format.ParseError, ValueError) as error:
        raise StepFailedError(
            1, f"expected an ExecutorOutput in {OUTPUT_FILE}; got {str(error).splitlines()[0]}"
        ) from error
    return json_format.MessageToDict(message)


def _merged(
    name: str, provisioned: Mapping[str, Any], said: list[Mapping[str, Any]]
) -> dict[str, Any]:
    """An output with what the step says of it; see `mergeRuntimeArtifacts`."""
    if len(said) > 1:
        raise StepFailedError(
            1,
            f"expected one artifact of its output {name}; got {len(said)}, of which Kubeflow keeps "
            "the first alone",
        )
    found = dict(provisioned)
    for each in said:
        found["uri"] = each.get("uri") or found["uri"]
        found["metadata"] = {**found.get("metadata", {}), **each.get("metadata", {})}
    return found


def _recorded(name: str, artifact: Mapping[str, Any]) -> dict[str, Any]:
    """An artifact as the driver finds it for later steps, in Kubeflow's ML Metadata.

    Its name is a number and its type is lost (`metadata/client.go: GetOutputArtifactsByExecutionId`
    gives an empty schema): a step knows the types of its inputs from elsewhere.
    """
    try:
        metadata = {key: values.kept(each) for key, each in artifact.get("metadata", {}).items()}
    except ValueError as error:
        raise StepFailedError(1, f"its output {name}: {error}") from error
    number = int.from_bytes(hashlib.sha256(artifact["uri"].encode()).digest()[:6], "big")
    return {
        "name": str(number),
        "uri": artifact["uri"],
        "type": {"instanceSchema": ""},
        "metadata": {"display_name": name, "store_session_info": _SESSION, **metadata},
    }
