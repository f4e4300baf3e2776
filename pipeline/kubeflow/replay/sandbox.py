"""A process that sees what a container of the image would: no checkout, no home, empty folders.

By Linux' namespaces, with the programs of util-linux and coreutils that every Debian has: a root
of its own, in which the system's folders and Python's are seen, read-only, processes of its own,
and no variable of the caller. The network is the machine's.
"""

import contextlib
import dataclasses
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from components.errors import ConfigError
from pipeline.kubeflow.replay.failing import StepFailedError

TOO_LONG = -1
"""In place of an exit code: the time limit was over."""

SHARED_MEMORY = "64m"
"""Of `/dev/shm`, where nothing else is asked for, as in a container."""

_SYSTEM = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "etc", "sys")
_PACKAGE = "/opt/package"
_WORK = "/step"
_HOME = "/home/step"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Of the programs that make the sandbox; its command has the container's."""

_START = f"""
its_path=$PATH
PATH={_PATH}
bind() {{ mkdir -p "$2"; mount --rbind "$1" "$2"; }}
protect() {{
  for each in $(findmnt -rnRo TARGET "$1"); do  # With \\x20 for a space.
    mount -o remount,bind,ro "$(env printf %b "$each")"
  done
}}
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sandbox:
    """A root for the process of one step.

    Attributes:
        root: folder that becomes `/`; what the process writes stays below it.
        package: folder with the installed project, first on Python's path.
        mounts: folders of this machine by their paths in the sandbox.
        shared_memory: size of `/dev/shm`, as mount takes it.
    """

    root: Path
    package: Path
    mounts: Mapping[str, Path]
    shared_memory: str = SHARED_MEMORY

    def inside(self, path: str) -> Path:
        """Where this machine has what is at a path in the sandbox."""
        return self.root / path.lstrip("/")

    def read(self, path: str) -> str:
        """The text of a file.

        Raises:
            StepFailedError: a link leads to it.
            ValueError: it is not UTF-8.
        """
        self.require_no_links(self.inside(path))
        return self.inside(path).read_text(encoding="utf-8")

    def require_no_links(self, path: Path) -> None:
        """Refuses what may lie outside: a link means another place here than in the sandbox.

        Raises:
            StepFailedError: the path has a link in it, or is one.
        """
        expected = self.root.resolve() / path.relative_to(self.root)
        if path.resolve() != expected:
            raise StepFailedError(
                1,
                f"expected files and folders at /{path.relative_to(self.root)}; got a link, which "
                "has no meaning in a store",
            )

    def run(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        seconds: float | None,
        log: IO[bytes],
    ) -> int:
        """Runs a command and gives its exit code, as a shell does; `TOO_LONG` after its time.

        Whatever the command has started is gone when this returns, or when this process ends.

        Args:
            command: its words.
            environment: variables, beside those of an image.
            seconds: its time limit; None for none.
            log: what it prints goes there.
        """
        process = subprocess.Popen(
            [*_apart(), "-euc", self._script(), "sandbox", *command],
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            env={**_image_environment(), **environment},
            start_new_session=True,
        )
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            return TOO_LONG
        finally:
            _end(process)
        return 128 - code if code < 0 else code

    def _script(self) -> str:
        """Makes the root and starts the command in it; the arguments are the command."""
        path = self._quoted
        lines = [_START]
        for name in _SYSTEM:
            source = Path("/", name)
            if source.is_symlink():
                lines.append(f"ln -s {shlex.quote(os.readlink(source))} {path(name)}")
            elif source.is_dir():
                lines += self._bound(source, str(source))
        for prefix in sorted({sys.prefix, sys.base_prefix}):
            if not Path(prefix).is_relative_to("/usr"):
                lines += self._bound(Path(prefix), prefix)
        lines += self._bound(self.package, _PACKAGE)
        for place, folder in self.mounts.items():
            lines.append(f"bind {shlex.quote(str(folder))} {path(place)}")
        lines += [
            f"bind /dev {path('/dev')}",
            f"mkdir -p {' '.join(map(path, ('/proc', '/tmp', _HOME, _WORK)))}",
            f"mount -t tmpfs -o size={self.shared_memory} shm {path('/dev/shm')}",
            f"mount -t proc proc {path('/proc')}",
            f"chmod 755 {path('/')} && chmod 1777 {path('/tmp')}",
        ]
        # The command is not process 1, which no signal of its own would end.
        inside = shlex.quote(f'cd {_WORK} && "$@"; exit $?')
        lines += [
            "PATH=$its_path",
            f'{_program("chroot")} {path("/")} /bin/sh -c {inside} sh "$@"; exit $?',
        ]
        return "\n".join(lines)

    def _bound(self, source: Path, place: str) -> list[str]:
        target = self._quoted(place)
        return [f"bind {shlex.quote(str(source))} {target}", f"protect {target}"]

    def _quoted(self, place: str) -> str:
        return shlex.quote(str(self.inside(place)))


def require() -> None:
    """Refuses a machine on which no sandbox can be made.

    Raises:
        ConfigError: it has no namespaces, or forbids them, or a program is missing.
    """
    with tempfile.TemporaryDirectory() as folder:
        trial = (
            'mount --rbind /usr "$1" && mount -o remount,bind,ro "$1" && mount -t proc proc "$1"'
        )
        done = subprocess.run(
            [*_apart(), "-euc", trial, "sandbox", folder],
            env={"PATH": _PATH},
            capture_output=True,
            text=True,
        )
    if done.returncode:
        raise ConfigError(
            "expected a Linux that lets this user make namespaces of mounts and processes, in "
            "which the steps see only what a container would; got "
            f"{done.stderr.strip() or done.returncode!r}; to fix, run it as root, or in a "
            "container that has the capability SYS_ADMIN and an unmasked /proc"
        )


def _apart() -> list[str]:
    """The start of a command in namespaces of its own, which end with this process."""
    own = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return [
        *(_program("setpriv"), "--pdeathsig", "KILL", _program("unshare"), *own),
        *("--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "/bin/sh"),
    ]


def _program(name: str) -> str:
    found = shutil.which(name, path=_PATH)
    if found is None:
        raise ConfigError(
            f"expected the program {name}; got none; to fix, install util-linux and coreutils"
        )
    return found


def _image_environment() -> dict[str, str]:
    """What the images set, see `deploy/`."""
    return {
        "PATH": f"{sys.prefix}/bin:{_PATH}",
        "HOME": _HOME,
        "LANG": "C.UTF-8",
        "PYTHONPATH": _PACKAGE,
        "PYTHONUNBUFFERED": "1",
    }


def _end(process: subprocess.Popen) -> None:
    """Kills a command with all that it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
