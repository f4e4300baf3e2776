"""What is asked of a running Kubeflow Pipelines: submit, watch, stop."""
