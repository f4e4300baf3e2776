"""What Kubeflow's launcher starts for every step: `python -m pipeline.kubeflow.step`."""

MODULE = __name__
"""What `python -m` is given in a compiled file."""
