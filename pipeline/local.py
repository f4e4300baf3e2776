"""One run on this machine, from the records to the verdict."""

import os
from pathlib import Path

from ml_metadata import metadata_store
from rich.console import Console
from tfx.orchestration.pipeline import RunOptions

from components import tfx
from components.dataset.source import RecordsSource
from components.errors import ConfigError
from components.metadata import addresses, runs, stores
from components.private_names import patient_tfx
from components.serving import succession
from components.storage import paths
from pipeline import doctor, plan, summary
from pipeline.config import PipelineConfig
from pipeline.door import Description
from pipeline.environment import Environment
from pipeline.graph import create_pipeline
from pipeline.inputs import Inputs


def run(
    config: PipelineConfig,
    environment: Environment,
    description: Description,
    source: RecordsSource,
    *,
    weights_digest: str,
    from_node: str | None,
    to_node: str | None,
    use_cache: bool,
    dry_run: bool,
    console: Console,
) -> None:
    """Runs the pipeline on records that are ready and prints what came of it.

    Args:
        config: what is computed.
        environment: where; its paths are absolute.
        description: of the data set.
        source: of the records.
        weights_digest: of the initial weights.
        from_node: the step to start with; None for the first ones.
        to_node: the step to end with; None for the last ones.
        use_cache: whether finished steps are reused.
        dry_run: whether only the plan is printed.
        console: where to print.

    Raises:
        PipelineError: see `components.errors`.
    """
    doctor.require_components(tfx.components)
    inputs = Inputs(
        dataset=description.dataset,
        schema=description.schema,
        records=str(source.folder),
        records_digest=source.digest,
        weights_digest=weights_digest,
    )
    serving_dir = paths.join(environment.served, config.name)
    made_from = inputs.made_from(config)
    if not dry_run and config.push.enabled and to_node in (None, "Pusher"):
        # The Pusher asks, too: here it costs no training.
        succession.require_not_taken_back(serving_dir, made_from)
    baseline = succession.baseline_version(serving_dir, made_from)
    variable = environment.secrets.get("metadata_password", "")
    connection = stores.connection(environment.metadata, stores.password(variable))
    pipeline = create_pipeline(
        config,
        inputs,
        pipeline_root=environment.artifacts,
        baseline=Path(baseline).name if baseline else "",
        metadata_connection=connection,
        enable_cache=use_cache,
    )
    if dry_run:
        plan.show(console, config, environment, pipeline)
        return
    if config.training.distribution != "multi_worker":
        # TFX's Trainer reads it whatever the strategy: left over, it would keep the model back.
        os.environ.pop("TF_CONFIG", None)
    chosen = {"from_nodes": from_node, "to_nodes": to_node}
    options = {key: [name] for key, name in chosen.items() if name}
    store = _opened(environment.metadata, variable)
    before = runs.newest_run(store)
    if options:
        # TFX itself takes that of the latest time: a clock may have been set back.
        options["base_pipeline_run_id"] = runs.newest_run_of(store, config.pipeline_name)
    try:
        with environment.runtime().handed_on(), patient_tfx():
            tfx.orchestration.LocalDagRunner().run(
                pipeline, RunOptions(**options) if options else None
            )
    except LookupError as error:
        if type(error) is not LookupError:  # A KeyError is one, too, but TFX raises no other.
            raise
        raise ConfigError(
            f"expected that the steps before {from_node} ran whole when this output was last run; "
            f"got {str(error).rstrip('.')}; to fix, run them first, without --from-node"
        ) from error
    except SystemExit as error:  # As Beam's parser of options ends a process.
        raise ConfigError(
            f"expected options that Beam takes under beam in the environment {environment.name}; "
            "got others; to fix, see the last lines of the log, which name them"
        ) from error
    steps = runs.latest_run(store, config.pipeline_name, since=before)
    summary.conclude(console, steps, environment.metadata, serving_dir)


def _opened(uri: str, variable: str) -> metadata_store.MetadataStore:
    """ML Metadata that this run can write; a file of it is made.

    Raises:
        ConfigError: there is no such server, or its user may not write.
    """
    address = addresses.parse(uri)
    if address.scheme == "sqlite":
        Path(address.path).parent.mkdir(parents=True, exist_ok=True)
    store = stores.opened(uri, variable)
    if address.scheme != "sqlite":
        stores.require_writable(store)
    return store
