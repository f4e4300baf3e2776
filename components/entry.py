"""Around every command, from its first line on: terminals of any kind, Ctrl-C, closed pipes.

Whatever ends a command from outside, a person or a machine, gets one line and an exit code, and no
stack trace; what lies on the disk is what a process killed at that moment leaves, and the next one
goes on from.

The standard library only, and nothing that Python 3.8 cannot read, see `components.installed`.
"""

import _thread
import codecs
import contextlib
import os
import signal
import sys
import threading
import time

from components import installed

ERRORS = "deeplab-terminal"
"""For `open(…, errors=ERRORS)`: writes what the encoding lacks in other characters, never fails."""

_PLAIN = {"–": "-", "—": "-", "−": "-", "…": "...", "×": "x", "·": ".", "⋅": ".", "²": "2"}
_PLAIN.update({"“": '"', "”": '"', "‘": "'", "’": "'", "→": "->", "≥": ">=", "≤": "<=", "━": "-"})

_LINES = {
    signal.SIGINT: "Interrupted. The same command goes on where it was.\n",
    signal.SIGTERM: "Terminated. The same command goes on where it was.\n",
    signal.SIGPIPE: "",  # Nobody reads any more.
}

_GRACE_SECONDS = 10
"""For cleaning up; what takes longer is cut off, and cleaned up by the next command."""

_ending = None
"""The signal that the command is ending by."""

_again = False
"""Whether the exception was lost in a callback, and is on its way once more."""


@contextlib.contextmanager
def command():
    """Opened first by every command, before anything that takes time is imported.

    Ends the process with exit code 2 where packages are missing, and with 130, 143 or 141 where
    Ctrl-C, SIGTERM or a closed pipe ended the command.
    """
    _open_standard_files()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors=ERRORS)
    # Runs redirect descriptor 2 to their log; the last line is for the person.
    terminal = os.dup(2)
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:  # As nohup and shells ask for.
            signal.signal(number, lambda number, frame: _handle(number, terminal))
    sys.unraisablehook = _unless_ending(sys.unraisablehook)
    threading.excepthook = _unless_ending(threading.excepthook)
    try:
        installed.require()
        yield
        sys.stdout.flush()
    except BaseException as error:
        if isinstance(error, BrokenPipeError):
            _end(signal.SIGPIPE, terminal)
        if is_ending():
            _end(_ending, terminal)
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            _end(signal.SIGPIPE, terminal)
        raise


def is_ending():
    """Whether the command is ending by a signal; whatever fails by then fails because of it."""
    return _ending is not None


def closed_pipe():
    """Ends the command: what reads its output is gone, as after `| head -1`. From any thread."""
    global _ending
    _ending = signal.SIGPIPE
    if _is_in_main_thread():
        raise KeyboardInterrupt
    os.kill(os.getpid(), signal.SIGTERM)


def _handle(number, terminal):
    """Makes the command end: by an exception, which cleans up, and after a while without one."""
    global _ending, _again
    if _again:
        _again = False
        raise KeyboardInterrupt
    if _ending == number:  # Asked twice.
        _end(number, terminal)
    _ending = _ending or number
    # Libraries may swallow the exception, or wait for a thread. Not a threading.Thread: its start
    # takes locks that the interrupted code may hold.
    _thread.start_new_thread(_end_later, (_ending, terminal))
    raise KeyboardInterrupt


def _unless_ending(hook):
    """A hook that prints traces of what Python cannot raise; quiet while the command is ending."""

    def print_or_not(lost):
        if not is_ending():
            hook(lost)
        elif lost.exc_type is KeyboardInterrupt and _is_in_main_thread():
            # It came while a callback ran, such as a library's of the garbage collector.
            _thread.start_new_thread(_raise_again, ())

    return print_or_not


def _raise_again():
    global _again
    time.sleep(0.1)  # Until the callback is left.
    _again = True
    os.kill(os.getpid(), signal.SIGTERM)  # A real one: the main thread may wait for the system.


def _is_in_main_thread():
    return threading.current_thread() is threading.main_thread()


def _end_later(number, terminal):
    time.sleep(_GRACE_SECONDS)
    _end(number, terminal)


def _end(number, terminal):
    """Ends the process at once: threads of libraries would keep it waiting."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    with contextlib.suppress(OSError):
        os.write(terminal, _LINES[number].encode())
    os._exit(128 + number)


def _open_standard_files():
    """Opens what a caller has closed, as some daemons do; else the next file gets its number."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))


def _spell(error):
    """The handler of `ERRORS`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(_PLAIN.get(c) or _escaped(c) for c in text), error.end


def _escaped(character):
    return character.encode("ascii", "backslashreplace").decode()


codecs.register_error(ERRORS, _spell)
