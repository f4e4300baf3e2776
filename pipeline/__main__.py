"""`python -m pipeline VERB`, installed as `deeplab-pipeline VERB`; see `pipeline.commands`."""

from components import installed


def main() -> None:
    """Does what the command line says."""
    installed.require()
    # Imported here: it needs packages, and a Python without them should end with one line.
    from pipeline import commands

    commands.main()


if __name__ == "__main__":
    main()
