"""A process that sees what a container of the image would: no checkout, no home, empty folders.

By Linux' namespaces, with the programs of util-linux and coreutils that every Debian has: a root
of its own, in which the system's folders and Python's are seen, read-only where the caller is
root and else by their owner's rights. The network is the machine's.
"""

import dataclasses
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from components.errors import ConfigError

_SYSTEM = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "etc", "sys", "dev", "proc")
_PACKAGE = "/opt/package"
_WORK = "work"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sandbox:
    """A root for the process of one step.

    Attributes:
        root: folder that becomes `/`; what the process writes stays below it.
        package: folder with the installed project, first on Python's path.
        mounts: folders of this machine by their paths in the sandbox.
    """

    root: Path
    package: Path
    mounts: Mapping[str, Path]

    def run(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        seconds: float | None,
        log: IO[bytes],
    ) -> int:
        """Runs a command and gives its exit code; 124 where it took too long.

        Whatever the command has started is gone when this returns.

        Args:
            command: its words.
            environment: variables, beside those of an image.
            seconds: its time limit; None for none.
            log: what it prints goes there.
        """
        process = subprocess.Popen(
            ["unshare", *_namespaces(), "sh", "-euc", self._script(), "sandbox", *command],
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            env={**_image_environment(), **environment},
            start_new_session=True,
        )
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            return 124
        finally:
            _end(process)

    def _script(self) -> str:
        """Makes the root and starts the command in it; the arguments are the command."""
        lines = []
        for name in _SYSTEM:
            source = Path("/", name)
            if source.is_symlink():
                lines.append(f"ln -s {shlex.quote(os.readlink(source))} {self._below(name)}")
            elif source.is_dir():
                lines += self._bound(source, source, is_writable=name in ("dev", "proc"))
        for prefix in sorted({sys.prefix, sys.base_prefix}):
            if not prefix.startswith("/usr"):
                lines += self._bound(Path(prefix), Path(prefix))
        lines += self._bound(self.package, Path(_PACKAGE))
        for place, folder in self.mounts.items():
            lines += self._bound(folder, Path(place), is_writable=True)
        lines.append(f"mkdir -p {self._below(_WORK)} {self._below('tmp')} {self._below('root')}")
        lines.append(f"chmod 1777 {self._below('tmp')}")
        inside = shlex.quote(f'cd /{_WORK} && exec "$@"')
        lines.append(f'exec /usr/sbin/chroot {shlex.quote(str(self.root))} sh -c {inside} sh "$@"')
        return "\n".join(lines)

    def _bound(self, source: Path, place: Path, is_writable: bool = False) -> list[str]:
        target = self._below(str(place).lstrip("/"))
        lines = [f"mkdir -p {target}", f"mount --rbind {shlex.quote(str(source))} {target}"]
        if os.geteuid() == 0 and not is_writable:
            lines.append(f"mount -o remount,bind,ro {target}")
        return lines

    def _below(self, name: str) -> str:
        return shlex.quote(str(self.root / name))


def require() -> None:
    """Refuses a machine on which no sandbox can be made.

    Raises:
        ConfigError: it has no namespaces, or forbids them.
    """
    try:
        done = subprocess.run(
            ["unshare", *_namespaces(), "mount", "--rbind", "/usr", "/usr"],
            capture_output=True,
            text=True,
        )
        reason = done.stderr.strip() if done.returncode else ""
    except FileNotFoundError as error:
        reason = f"no program {error.filename}"
    if reason:
        raise ConfigError(
            "expected a Linux that lets this user make mount namespaces, in which the steps see "
            f"only what a container would; got {reason!r}; to fix, run it as root, or in a "
            "container that has the capability SYS_ADMIN"
        )


def _namespaces() -> list[str]:
    own = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return [*own, "--mount", "--propagation", "private"]


def _image_environment() -> dict[str, str]:
    """What the images set, see `deploy/images`."""
    return {
        "PATH": f"{sys.prefix}/bin:/usr/local/bin:/usr/bin:/bin",
        "HOME": "/root",
        "LANG": "C.UTF-8",
        "PYTHONPATH": _PACKAGE,
        "PYTHONUNBUFFERED": "1",
    }


def _end(process: subprocess.Popen) -> None:
    """Kills a command with all that it has started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
