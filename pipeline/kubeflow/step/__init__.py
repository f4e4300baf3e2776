"""What Kubeflow's launcher starts for every step: `python -m pipeline.kubeflow.step`."""

MODULE = __name__
"""What Python is given to run in a compiled file."""
