"""Kubeflow Pipelines: what compiles the graph to its file, and what checks such a file."""
