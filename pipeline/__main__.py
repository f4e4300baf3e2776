"""`python -m pipeline VERB`, installed as `deeplab-pipeline VERB`; see `pipeline.commands`."""

from components import entry


def main() -> None:
    """Does what the command line says."""
    with entry.command():
        # Imported here: it needs packages, and a Python without them should end with one line.
        from pipeline import commands

        commands.main()


if __name__ == "__main__":
    main()
