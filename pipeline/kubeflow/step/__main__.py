"""One step, from the launcher's ExecutorInput to its outputs; exits as the local runner does.

TFX's own entry point reads and writes the store itself, which fails on `minio://` (tfx issue 4537),
keeps the first artifact of each output alone, and asks nothing of what a step has left.
"""

import argparse
import os
import sys
import traceback

from components import entry


def main() -> None:
    """Does what the command line says and ends the process, with the exit code of the cause."""
    code = 1
    try:
        with entry.command():
            _run()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    # At once: libraries that were loaded side by side may crash while Python takes them down, and
    # Kubeflow would take a step that has written everything for a failed one.
    os._exit(code)


def _run() -> None:
    # Imported here: a Python without the packages ends with one line.
    from components import consoles
    from components.errors import exit_codes

    arguments = _parser().parse_args()
    with exit_codes(consoles.terminal()):
        from pipeline.kubeflow.step import running

        running.run(
            arguments.json_serialized_invocation_args,
            arguments.json_serialized_inputs_spec_args,
            arguments.executor_class_path,
            arguments.node,
            arguments.component,
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipeline.kubeflow.step", description=__doc__)
    parser.add_argument("--node", required=True, metavar="STEP", help="its name in the graph")
    parser.add_argument("--component", required=True, metavar="TYPE", help="as TFX names it")
    # The others have the names that TFX's compiler writes.
    parser.add_argument("--executor_class_path", required=True, metavar="MODULE.CLASS")
    parser.add_argument(
        "--json_serialized_invocation_args",
        required=True,
        metavar="JSON",
        help="the launcher's ExecutorInput",
    )
    parser.add_argument(
        "--json_serialized_inputs_spec_args",
        required=True,
        metavar="JSON",
        help="the types of the step's inputs",
    )
    return parser


if __name__ == "__main__":
    main()
