"""Runs the executor of a step on what the launcher has brought."""

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence

import yaml
from absl import logging
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2
from tfx.dsl.components.base import base_beam_executor, base_executor
from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_entrypoint_utils as utils
from tfx.types.artifact import Artifact
from tfx.types.value_artifact import ValueArtifact
from tfx.utils import import_utils

from components import artifacts, runtime
from components.errors import ConfigError
from components.metadata import recording, stores
from components.storage import paths
from pipeline.kubeflow import run_parameters
from pipeline.kubeflow.step import places

Artifacts = Mapping[str, Sequence[Artifact]]

_LOGS = "executor-logs"
"""What the launcher writes itself, and lists among the outputs."""

_OWN_TYPES = {
    found.TYPE_NAME: f"{artifacts.__name__}.{name}"
    for name, found in vars(artifacts).items()
    if isinstance(found, type) and issubclass(found, Artifact) and found is not Artifact
}


def run(invocation: str, inputs_spec: str, executor: str, step: str, kind: str) -> None:
    """Runs one step and writes the output file that the launcher reads.

    Args:
        invocation: Kubeflow's ExecutorInput as JSON: parameters, artifacts by their addresses in
            the store, and where the output file belongs.
        inputs_spec: the ComponentInputsSpec as JSON, for the types of the parameters.
        executor: path of the class.
        step: its name in the graph.
        kind: of its component, for ML Metadata.

    Raises:
        ConfigError: it is no such JSON, a parameter of the run is refused, or an artifact is in a
            store that the launcher does not know, or has not been brought.
        RuntimeError: the step has left an output empty.
        PipelineError: what the step itself raises.
    """
    given = _parsed(invocation, pipeline_spec_pb2.ExecutorInput(), "ExecutorInput")
    spec = _parsed(inputs_spec, pipeline_spec_pb2.ComponentInputsSpec(), "ComponentInputsSpec")
    own, handed_on = _settled(given)
    given.outputs.artifacts.pop(_LOGS, None)
    _name_inputs(given, spec)
    for lists in (given.inputs.artifacts, given.outputs.artifacts):
        for found in lists.values():
            for artifact in found.artifacts:
                _name_class(artifact.type)
    names: dict[int, str] = {}
    inputs = utils.parse_raw_artifact_dict(given.inputs.artifacts, names)
    outputs = utils.parse_raw_artifact_dict(given.outputs.artifacts, names)
    properties = utils.parse_execution_properties(given.inputs.parameter_values, {}, spec) | own
    uris = [artifact.uri for _, artifact in _all(inputs, outputs)]
    with _recorded(given, step, kind, inputs, properties) as recorded:
        _run_executor(executor, inputs, outputs, properties)
        _write_output(given.outputs.output_file, outputs, uris, names, handed_on)
        recorded |= outputs


@contextlib.contextmanager
def _recorded(
    given: pipeline_spec_pb2.ExecutorInput,
    step: str,
    kind: str,
    inputs: Artifacts,
    parameters: Mapping[str, int | float | str],
) -> Iterator[dict[str, Sequence[Artifact]]]:
    """Records the step in ML Metadata where the environment names one."""
    place = runtime.current()
    if not place.metadata:
        yield {}
        return
    # The launcher tells a step neither its run nor its pipeline, but where its outputs belong:
    # <root>/<pipeline>/<run>/<task>/<attempt>/.
    *_, pipeline, run, _, _, _ = given.outputs.output_file.split("/")
    store = stores.opened(place.metadata, place.metadata_password)
    with recording.recorded(
        store,
        pipeline=pipeline,
        run=run,
        node=step,
        kind=kind,
        inputs=inputs,
        parameters=parameters,
    ) as outputs:
        yield outputs


def _run_executor(
    executor: str, inputs: Artifacts, outputs: Artifacts, properties: dict[str, int | float | str]
) -> None:
    """Runs it on what the launcher has brought."""
    _bring(inputs)
    for _, artifact in _all(outputs):
        artifact.uri = places.local(artifact.uri)
        # Executors find their folders made, as the local runner makes them; a value is a file.
        is_value = isinstance(artifact, ValueArtifact)
        os.makedirs(os.path.dirname(artifact.uri) if is_value else artifact.uri, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="step-") as folder:
        _executor(executor, folder).Do(inputs, outputs, properties)
    _require_given(outputs)


def _parsed(text: str, message, name: str):
    try:
        # Newer launchers may say more.
        return json_format.Parse(text, message, ignore_unknown_fields=True)
    except json_format.ParseError as error:
        raise ConfigError(
            f"expected Kubeflow's {name} as JSON; got {str(error).splitlines()[0]}; to fix, start "
            "the step as the compiled file does"
        ) from error


def _name_inputs(
    given: pipeline_spec_pb2.ExecutorInput, spec: pipeline_spec_pb2.ComponentInputsSpec
) -> None:
    """Gives the inputs the types that the component has them of.

    Kubeflow's driver finds them in its ML Metadata without one (kubeflow/pipelines,
    `backend/src/v2/metadata/client.go: GetOutputArtifactsByExecutionId`).
    """
    for key, found in given.inputs.artifacts.items():
        for artifact in found.artifacts:
            if not (artifact.type.schema_title or artifact.type.instance_schema):
                artifact.type.CopyFrom(spec.artifacts[key].artifact_type)


def _settled(
    given: pipeline_spec_pb2.ExecutorInput,
) -> tuple[dict[str, int | float | str], dict[str, int | float | str]]:
    """Takes the parameters of the run out of the first step's, and has them decide the steps'.

    Returns:
        See `routing.settle`; nothing for the other steps.
    """
    run = run_parameters.current()
    if run is None:
        return {}, {}
    # Imported here: it makes the whole graph, which no other step needs.
    from pipeline.kubeflow.run_parameters import routing

    values, names = given.inputs.parameter_values, {each.name for each in run.parameters()}
    taken = {name: json_format.MessageToDict(values[name]) for name in names & values.keys()}
    for name in taken:
        del values[name]
    return routing.settle(run, taken, given.outputs.parameters.keys())


def _name_class(kind: pipeline_spec_pb2.ArtifactTypeSchema) -> None:
    """Gives a type of ours the path of its class, by which TFX finds it; its own it knows.

    Raises:
        ConfigError: it has no title.
    """
    schema = yaml.safe_load(kind.instance_schema or "{}")
    title = kind.schema_title or schema.get("title")
    if not title:
        raise ConfigError(
            "expected a title in the type of every artifact; got none; to fix, compile the file "
            "anew"
        )
    if title in _OWN_TYPES:
        kind.schema_title = _OWN_TYPES[title]


def _all(*tables: Artifacts) -> Iterator[tuple[str, Artifact]]:
    """Every artifact of tables, with what it is to the step."""
    for table in tables:
        for key, found in table.items():
            for artifact in found:
                yield key, artifact


def _bring(inputs: Artifacts) -> None:
    """Gives the inputs the paths that the launcher has brought them to."""
    missing = []
    for key, artifact in _all(inputs):
        uri, artifact.uri = artifact.uri, places.local(artifact.uri)
        if not os.path.exists(artifact.uri):
            missing.append(f"{key} ({uri})")
    if missing:
        raise ConfigError(
            "expected every input of the step where Kubeflow's launcher puts it; got nothing of "
            f"{', '.join(missing)}; to fix, see whether they are still in the store, and run the "
            "steps that make them again, without cache"
        )


def _executor(path: str, folder: str) -> base_executor.BaseExecutor:
    """The executor, which may write below a folder."""
    found = import_utils.import_class_by_path(path)
    is_on_beam = issubclass(found, base_beam_executor.BaseBeamExecutor)
    base = base_beam_executor.BaseBeamExecutor if is_on_beam else base_executor.BaseExecutor
    return found(base.Context(tmp_dir=folder, unique_id="step"))


def _require_given(outputs: Artifacts) -> None:
    """Refuses what would be lost: stores keep no empty folders, and Kubeflow only warns of it."""
    empty = [
        key
        for key, artifact in _all(outputs)
        if os.path.isdir(artifact.uri) and not paths.walk_files(artifact.uri)
    ]
    if empty:
        raise RuntimeError(
            f"expected files in every output of the step; got none in {', '.join(empty)}; to fix, "
            f"let the component say so by {artifacts.__name__}.leave_empty"
        )


def _write_output(
    file: str,
    outputs: Artifacts,
    uris: list[str],
    names: dict[int, str],
    parameters: Mapping[str, int | float | str],
) -> None:
    """Writes what the launcher merges into its record of the outputs."""
    written = pipeline_spec_pb2.ExecutorOutput()
    for key, value in parameters.items():
        json_format.ParseDict(value, written.parameter_values[key])
    local = {places.local(uri): uri for uri in uris}
    for key, artifact in _all(outputs):
        artifact.uri = local[artifact.uri]
        properties = artifact.mlmd_artifact
        for value in (*properties.properties.values(), *properties.custom_properties.values()):
            if value.HasField("string_value"):
                value.string_value = places.addressed(value.string_value, uris)
        written.artifacts[key].artifacts.append(utils.to_runtime_artifact(artifact, names))
        if isinstance(artifact, ValueArtifact):
            # TFX's compiler makes a parameter of each, which later steps take.
            value = paths.read_text(places.local(artifact.uri))
            written.parameter_values[key].string_value = value
    os.makedirs(os.path.dirname(file), exist_ok=True)
    paths.write_text(file, json_format.MessageToJson(written))
    logging.info("The outputs are described in %s", file)
