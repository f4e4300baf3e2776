"""Compiles the pipeline for Kubeflow Pipelines: `python -m pipeline compile` under its own name.

python kubeflow_runner.py
python kubeflow_runner.py --data-dir gs://bucket/tfrecords --pipeline-root gs://bucket/runs
"""

from components import entry


def main() -> None:
    """Does what the command line says."""
    with entry.command():
        # Imported here: it needs packages, and a Python without them should end with one line.
        from pipeline import commands

        commands.main_of("compile", "kubeflow_runner.py")


if __name__ == "__main__":
    main()
