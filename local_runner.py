"""Runs the pipeline on this machine: `python -m pipeline run` under a name of its own.

python local_runner.py
python local_runner.py --dataset pascal --data-dir VOCdevkit
"""

from components import entry


def main() -> None:
    """Does what the command line says."""
    with entry.command():
        # Imported here: it needs packages, and a Python without them should end with one line.
        from pipeline import commands

        commands.main_of("run", "local_runner.py")


if __name__ == "__main__":
    main()
