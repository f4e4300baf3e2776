"""Fields that Kubeflow Pipelines has, and older releases of `kfp-pipeline-spec` have not.

The lock of Python 3.11 has such a release, that of 3.12 and 3.13 needs nothing from here. Source:
the wire format in api/v2alpha1/pipeline_spec.proto of kubeflow/pipelines, as of August 2026; in the
notation of `kubernetes_fields`.
"""

_P = "ml_pipelines."
_PASSED_ON = f"{_P}TaskConfigPassthroughType.TaskConfigPassthroughTypeEnum"

MESSAGES: dict[str, dict[str, str]] = {
    f"{_P}ComponentSpec": {"task_config_passthroughs": f"[{_P}TaskConfigPassthrough]"},
    f"{_P}ComponentInputsSpec.ParameterSpec": {"literals": "[google.protobuf.Value]"},
    f"{_P}PipelineDeploymentConfig.ImporterSpec": {"download_to_workspace": "bool"},
    f"{_P}TaskConfigPassthrough": {"field": _PASSED_ON, "apply_to_task": "bool"},
    f"{_P}PipelineConfig": {
        "resource_ttl_on_completion": "int32",
        "workspace": f"{_P}WorkspaceConfig",
        "resource_ttl_on_success": "int32",
        "resource_ttl_on_failure": "int32",
        "active_deadline_seconds": "int32",
    },
    f"{_P}WorkspaceConfig": {"size": "string", "kubernetes": f"{_P}KubernetesWorkspaceConfig"},
    f"{_P}KubernetesWorkspaceConfig": {"pvc_spec_patch": "google.protobuf.Struct"},
}
"""By message, the fields with their types."""

ENUMS: dict[str, dict[int, str]] = {
    f"{_P}ParameterType.ParameterTypeEnum": {8: "TASK_CONFIG"},
    _PASSED_ON: dict(
        enumerate(
            (
                *("NONE", "RESOURCES", "ENV", "KUBERNETES_AFFINITY", "KUBERNETES_TOLERATIONS"),
                *("KUBERNETES_NODE_SELECTOR", "KUBERNETES_VOLUMES"),
            )
        )
    ),
}
"""By enum, the names of values by number."""
