"""What can stop a run, by cause; the commands turn each cause into its own exit code."""

import contextlib
import errno
import os
import sys
from collections.abc import Iterator

from rich.console import Console

from components import entry
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


class AnswerError(ServingError):
    """A server of models is not there, or refuses a request."""

    headline = "No answer"


class VerificationError(ServingError):
    """A pushed version is not what was pushed, or not signed by whom it should be."""

    headline = "Not verified"


class DownloadFailedError(PipelineError):
    """What has to be fetched could not be, or is not what was published."""

    headline = "Download failed"
    exit_code = 6


class ServiceError(PipelineError):
    """A service that a command needs is not there, or cannot do what it is asked."""

    headline = "No service"
    exit_code = 7


@contextlib.contextmanager
def exit_codes(console: Console) -> Iterator[None]:
    """Ends the process with the code of the error that leaves the context.

    Errors meant for people are printed as one message, a full disk too; anything else is a crash
    and keeps its stack trace.
    """
    try:
        yield
    except DatasetError as error:
        _exit(console, ConfigError(str(error)))
    except PipelineError as error:
        _exit(console, error)
    except Exception as error:
        reason = _no_room(error)
        if not reason:
            raise
        _exit(
            console,
            ConfigError(
                f"expected room to write to; got {reason}; to fix, make room there or choose "
                "another place with --output; the same command goes on where it was"
            ),
        )


_NO_ROOM = (
    *(os.strerror(code) for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)),
    "database or disk is full",
    "attempt to write a readonly database",
)
"""What the system, SQLite and the libraries that pass it on say of a disk that takes no more."""


def _no_room(error: BaseException | None) -> str:
    """What an error, or one behind it, says of a full or read-only disk; empty for all others."""
    while error is not None:
        for text in _NO_ROOM:
            if text in str(error):
                name = getattr(error, "filename", None)
                return f"{text} ({name})" if name else text
        error = error.__cause__ or error.__context__
    return ""


def _exit(console: Console, error: PipelineError) -> None:
    if entry.is_ending():  # It fails because of that.
        raise KeyboardInterrupt
    console.print(f"{error.headline}: {error}", style="red", markup=False, highlight=False)
    sys.exit(error.exit_code)
