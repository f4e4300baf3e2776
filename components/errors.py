"""What can stop a run, by cause; the commands turn each cause into its own exit code."""

import contextlib
import sys
from collections.abc import Iterator

from rich.console import Console

from schemas import DatasetError


class PipelineError(Exception):
    """A failure whose message is meant for the person who started the run."""

    headline = "The run failed"
    exit_code = 1


class ConfigError(PipelineError):
    """The command line, the configuration or the machine does not allow a run."""

    headline = "Configuration error"
    exit_code = 2


class DataError(PipelineError):
    """The data is missing, unreadable or breaks the data set's schema."""

    headline = "Bad data"
    exit_code = 3


class NotBlessedError(PipelineError):
    """The candidate was trained and measured, and refused by the model gate."""

    headline = "Not blessed"
    exit_code = 4


class ServingError(PipelineError):
    """The exported model does not load or does not answer as a served model must."""

    headline = "Serving check failed"
    exit_code = 5


class DownloadFailedError(PipelineError):
    """What has to be fetched could not be, or is not what was published."""

    headline = "Download failed"
    exit_code = 6


@contextlib.contextmanager
def exit_codes(console: Console) -> Iterator[None]:
    """Ends the process with the code of the error that leaves the context.

    Errors meant for people are printed as one message; anything else is a crash and keeps its
    stack trace.
    """
    try:
        yield
    except DatasetError as error:
        _exit(console, ConfigError(str(error)))
    except PipelineError as error:
        _exit(console, error)


def _exit(console: Console, error: PipelineError) -> None:
    console.print(f"{error.headline}: {error}", style="red", markup=False, highlight=False)
    sys.exit(error.exit_code)
