"""What a run of a compiled file may be given at its start, without compiling anew.

The first step takes all of it, makes the configuration by the rules of `--set`, and of that the
very graph that a file compiled with `--set` holds. What it decides of the other steps these take as
outputs of the first one. So Kubeflow's cache sees the values that a step works with, and a
parameter voids those steps alone for which something has changed.
"""

from pipeline.kubeflow.run_parameters.run import FIRST, VARIABLE, Run, current, require_valid

__all__ = ["FIRST", "VARIABLE", "Run", "current", "require_valid"]
