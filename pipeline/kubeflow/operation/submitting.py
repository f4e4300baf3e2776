"""From a compiled file to a run, or to a run that comes again and again."""

import dataclasses
import hashlib
import os
import tempfile
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import kfp_server_api as api

from pipeline.kubeflow.operation.service import Service

_NAMED = 12
"""Digits of the file's hash in the name of its version."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class File:
    """A compiled file that was found fit.

    Attributes:
        name: of the pipeline.
        content: of the file.
        root: its pipeline root, which Kubeflow's server does not read.
    """

    name: str
    content: bytes
    root: str

    @property
    def version(self) -> str:
        """The name of its version: the same for the same content."""
        return f"{self.name}-{hashlib.sha256(self.content).hexdigest()[:_NAMED]}"


def uploaded(service: Service, file: File) -> Any:
    """The version of the pipeline that has this content; uploaded where there is none."""

    def find_pipeline():
        named = {"namespace": service.namespace} if service.namespace else {}
        return service.read(
            service.pipelines.pipeline_service_get_pipeline_by_name,
            file.name,
            named,
            missing_is_none=True,
        )

    pipeline = find_pipeline()
    if pipeline is None:
        body = api.V2beta1Pipeline(display_name=file.name, namespace=service.namespace or None)
        pipeline = service.write(
            service.pipelines.pipeline_service_create_pipeline, body, find=find_pipeline
        )

    def find_version():
        versions = service.pages(
            lambda **given: service.pipelines.pipeline_service_list_pipeline_versions(
                pipeline.pipeline_id, **given
            ),
            "pipeline_versions",
        )
        return next((each for each in versions if each.display_name == file.version), None)

    known = find_version()
    if known is not None:
        return known
    with tempfile.TemporaryDirectory() as folder:
        # The suffix decides how the server reads it.
        path = os.path.join(folder, f"{file.version}.yaml")
        with open(path, "wb") as upload:
            upload.write(file.content)
        return service.write(
            service.uploads.upload_pipeline_version,
            path,
            {"name": file.version, "pipelineid": pipeline.pipeline_id},
            find=find_version,
        )


def experiment(service: Service, name: str) -> str | None:
    """The number of an experiment, which is made where there is none; None for the server's own."""
    if not name:
        return None
    named = {"namespace": service.namespace} if service.namespace else {}

    def find():
        found = service.pages(
            service.experiments.experiment_service_list_experiments, "experiments", **named
        )
        return next((each for each in found if each.display_name == name), None)

    known = find()
    if known is None:
        body = api.V2beta1Experiment(display_name=name, namespace=service.namespace or None)
        known = service.write(
            service.experiments.experiment_service_create_experiment, body, find=find
        )
    return known.experiment_id


def run(
    service: Service, file: File, version: Any, parameters: Mapping[str, Any], experiment_id: str
) -> Any:
    """Starts a run of a version, once."""
    name = f"{file.name} {datetime.now():%Y-%m-%d %H-%M-%S} {uuid.uuid4().hex[:8]}"
    body = api.V2beta1Run(
        display_name=name,
        experiment_id=experiment_id,
        pipeline_version_reference=_reference(version),
        runtime_config=_runtime(file, parameters),
    )
    named = {"namespace": service.namespace} if service.namespace else {}

    def find():
        # The newest come first: it is among them, or nowhere.
        page = service.read(
            service.runs.run_service_list_runs,
            {"page_size": 50, "sort_by": "created_at desc", **named},
        )
        return next((each for each in page.runs or () if each.display_name == name), None)

    return service.write(service.runs.run_service_create_run, body, find=find)


def recurring_run(
    service: Service,
    file: File,
    version: Any,
    parameters: Mapping[str, Any],
    experiment_id: str | None,
    cron: str,
) -> tuple[Any, bool]:
    """The recurring run of a pipeline, changed where it is there already.

    The new one is made before the old one goes: whatever ends this in between, one is there, and
    the next submission removes what is too much.

    Args:
        service: where.
        file: the compiled file.
        version: of the pipeline.
        parameters: of every run.
        experiment_id: of the runs.
        cron: minute, hour, day, month, weekday.

    Returns:
        It, and whether it is new or changed.
    """
    wanted = api.V2beta1RecurringRun(
        display_name=file.name,
        description="Submitted by python -m pipeline submit --every",
        experiment_id=experiment_id,
        namespace=service.namespace or None,
        pipeline_version_reference=_reference(version),
        runtime_config=_runtime(file, parameters),
        trigger=api.V2beta1Trigger(
            # Kubeflow's has seconds before the five usual fields.
            cron_schedule=api.V2beta1CronSchedule(cron=f"0 {cron}")
        ),
        max_concurrency="1",
        no_catchup=True,
        mode="ENABLE",
    )
    named = {"namespace": service.namespace} if service.namespace else {}

    def there() -> list[Any]:
        found = service.pages(
            service.recurring.recurring_run_service_list_recurring_runs, "recurring_runs", **named
        )
        return [each for each in found if each.display_name == file.name]

    def equal() -> Any | None:
        return next((each for each in there() if _same(each, wanted)), None)

    known = equal()
    made = known or service.write(
        service.recurring.recurring_run_service_create_recurring_run, wanted, find=equal
    )
    for each in there():
        if each.recurring_run_id != made.recurring_run_id:
            service.write(
                service.recurring.recurring_run_service_delete_recurring_run,
                each.recurring_run_id,
                find=lambda gone=each: (
                    None
                    if any(e.recurring_run_id == gone.recurring_run_id for e in there())
                    else gone
                ),
            )
    return made, known is None


def _same(one: Any, other: Any) -> bool:
    def decides(each: Any) -> tuple:
        config, trigger = each.runtime_config, each.trigger
        return (
            each.pipeline_version_reference.pipeline_version_id,
            dict(config.parameters or {}) if config else {},
            config.pipeline_root if config else None,
            trigger.cron_schedule.cron if trigger and trigger.cron_schedule else None,
            each.mode in (None, "ENABLE"),
        )

    return decides(one) == decides(other)


def _reference(version: Any) -> Any:
    return api.V2beta1PipelineVersionReference(
        pipeline_id=version.pipeline_id, pipeline_version_id=version.pipeline_version_id
    )


def _runtime(file: File, parameters: Mapping[str, Any]) -> Any:
    return api.V2beta1RuntimeConfig(parameters=dict(parameters), pipeline_root=file.root)
