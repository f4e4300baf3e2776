"""The environments that ship: `local.toml`, `kubeflow.toml`. A copy, changed, is one's own."""
