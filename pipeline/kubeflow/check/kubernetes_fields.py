"""What Kubeflow's Kubernetes platform takes for an executor: the fields of each message.

Source: the wire format in kubernetes_platform/proto/kubernetes_executor_config.proto of
kubeflow/pipelines, as of August 2026. A type in brackets is a list, in braces a map with texts as
keys; behind a bar stands the name of those fields of which at most one may be given.
"""

EXECUTOR = "kfp_kubernetes.KubernetesExecutorConfig"

_INPUT = "ml_pipelines.TaskInputsSpec.InputParameterSpec"
_OUTPUT = f"{_INPUT}.TaskOutputParameterSpec"

_CONFIG = {
    "secret_as_volume": "[SecretAsVolume]",
    "secret_as_env": "[SecretAsEnv]",
    "pvc_mount": "[PvcMount]",
    "node_selector": "NodeSelector",
    "pod_metadata": "PodMetadata",
    "image_pull_secret": "[ImagePullSecret]",
    "image_pull_policy": "string",
    "config_map_as_volume": "[ConfigMapAsVolume]",
    "config_map_as_env": "[ConfigMapAsEnv]",
    "active_deadline_seconds": "int64",
    "field_path_as_env": "[FieldPathAsEnv]",
    "tolerations": "[Toleration]",
    "generic_ephemeral_volume": "[GenericEphemeralVolume]",
    "node_affinity": "[NodeAffinityTerm]",
    "pod_affinity": "[PodAffinityTerm]",
    "enabled_shared_memory": "EnabledSharedMemory",
    "empty_dir_mounts": "[EmptyDirMount]",
    "security_context": "SecurityContext",
    "init_containers": "[InitContainer]",
}

_PARTS = {
    "EnabledSharedMemory": {"volume_name": "string", "size": "string"},
    "SecretAsVolume": {
        "secret_name": "string",
        "mount_path": "string",
        "optional": "bool",
        "secret_name_parameter": _INPUT,
    },
    "SecretAsEnv": {
        "secret_name": "string",
        "key_to_env": "[SecretKeyToEnvMap]",
        "optional": "bool",
        "secret_name_parameter": _INPUT,
    },
    "SecretKeyToEnvMap": {"secret_key": "string", "env_var": "string"},
    "PvcMount": {
        "task_output_parameter": f"{_OUTPUT} | pvc_reference",
        "constant": "string | pvc_reference",
        "component_input_parameter": "string | pvc_reference",
        "mount_path": "string",
        "pvc_name_parameter": _INPUT,
        "sub_path": "string",
    },
    "NodeSelector": {"labels": "{string}", "node_selector_json": _INPUT},
    "PodMetadata": {"labels": "{string}", "annotations": "{string}"},
    "ConfigMapAsVolume": {
        "config_map_name": "string",
        "mount_path": "string",
        "optional": "bool",
        "config_map_name_parameter": _INPUT,
    },
    "ConfigMapAsEnv": {
        "config_map_name": "string",
        "key_to_env": "[ConfigMapKeyToEnvMap]",
        "config_map_name_parameter": _INPUT,
        "optional": "bool",
    },
    "ConfigMapKeyToEnvMap": {"config_map_key": "string", "env_var": "string"},
    "GenericEphemeralVolume": {
        "volume_name": "string",
        "mount_path": "string",
        "access_modes": "[string]",
        "size": "string",
        "default_storage_class": "bool",
        "storage_class_name": "string",
        "metadata": "PodMetadata",
    },
    "ImagePullSecret": {"secret_name": "string", "secret_name_parameter": _INPUT},
    "FieldPathAsEnv": {"name": "string", "field_path": "string"},
    "Toleration": {
        "key": "string",
        "operator": "string",
        "value": "string",
        "effect": "string",
        "toleration_seconds": "int64",
        "toleration_json": _INPUT,
    },
    "SelectorRequirement": {"key": "string", "operator": "string", "values": "[string]"},
    "NodeAffinityTerm": {
        "match_expressions": "[SelectorRequirement]",
        "match_fields": "[SelectorRequirement]",
        "weight": "int32",
        "node_affinity_json": _INPUT,
    },
    "PodAffinityTerm": {
        "match_pod_expressions": "[SelectorRequirement]",
        "match_pod_labels": "{string}",
        "topology_key": "string",
        "namespaces": "[string]",
        "match_namespace_expressions": "[SelectorRequirement]",
        "match_namespace_labels": "{string}",
        "weight": "int32",
        "anti": "bool",
    },
    "SecurityContext": {
        "run_as_user": "int64",
        "run_as_group": "int64",
        "run_as_non_root": "bool",
    },
    "EmptyDirMount": {
        "volume_name": "string",
        "mount_path": "string",
        "medium": "string",
        "size_limit": "string",
    },
    "InitContainer": {
        "name": "string",
        "image": "string",
        "command": "[string]",
        "args": "[string]",
        "env": "[EnvVar]",
        "volume_mounts": "[VolumeMount]",
        "restart_policy": "string",
        "resources": "ResourceRequirements",
    },
    "EnvVar": {"name": "string", "value": "string"},
    "VolumeMount": {"volume_name": "string", "mount_path": "string"},
    "ResourceRequirements": {"requests": "{string}", "limits": "{string}"},
}

MESSAGES: dict[str, dict[str, str]] = {EXECUTOR: _CONFIG, **_PARTS}
"""The fields of each message, by their names in the definition."""
