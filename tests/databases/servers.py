"""Real database servers: Debian's packages, unpacked into a folder and started from there.

Nothing is installed on the machine, and no server of it is touched.
"""

import contextlib
import dataclasses
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

PACKAGES = ("postgresql-15", "mariadb-server-core", "mariadb-client-core")
PASSWORD = "pass word/@:%"
"""Of every user; an address could not hold it as it is."""

USERS = ("writer", "reader")
"""One that may do anything with the database, and one that may only read."""

DATABASE = "metadata"
_SECONDS = 60


def unpack(folder: Path) -> Path:
    """Downloads the servers' packages with what they need, and unpacks them below a folder."""
    archives = folder / "archives"
    (archives / "partial").mkdir(parents=True)
    options = ("-y", "-q", "--no-install-recommends", "--download-only")
    places = ("-o", "Debug::NoLocking=1", "-o", f"Dir::Cache::archives={archives}")
    # Not as the unprivileged user that root's apt-get downloads by, who may not write there.
    places += ("-o", "APT::Sandbox::User=root")
    command = ["apt-get", *options, *places, "install", *PACKAGES]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(
            f"expected Debian 12 with its registry for {', '.join(PACKAGES)}; got "
            f"{done.stderr.strip()[-500:]}; to fix, run apt-get update, or these tests there"
        )
    for archive in sorted(archives.glob("*.deb")):
        subprocess.run(["dpkg", "-x", archive, folder / "root"], check=True)
    return folder / "root"


@dataclasses.dataclass
class Server:
    """A database server that can be stopped and started again.

    Attributes:
        scheme: of its addresses.
        port: on 127.0.0.1.
        command: that starts it.
        environment: of the command.
        log: what it prints.
    """

    scheme: str
    port: int
    command: list[str]
    environment: dict[str, str]
    log: Path
    process: subprocess.Popen | None = None

    def uri(self, user: str = "writer", database: str = DATABASE) -> str:
        """The address, without the password."""
        return f"{self.scheme}://{user}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Starts it and waits until it takes connections."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                env={**os.environ, **self.environment},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + _SECONDS
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(self.log.read_text()[-2000:])
            time.sleep(0.1)

    def stop(self, number: int = signal.SIGQUIT) -> None:
        """Ends it at once, as a crash would."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, number)
            self.process.wait()


def postgresql(root: Path, folder: Path) -> Server:
    """PostgreSQL with a database and the users; not started for good yet."""
    programs = root / "usr/lib/postgresql/15/bin"
    environment = _environment(root)
    folder.mkdir(parents=True)
    password = folder / "password"
    password.write_text(PASSWORD)
    as_user = _unprivileged(folder)
    data = folder / "data"
    _run(
        [*as_user, programs / "initdb", "-D", data, "-U", "owner", "-A", "scram-sha-256",
         f"--pwfile={password}", "-E", "UTF8", "--locale=C"], environment,
    )  # fmt: skip
    port = _free_port()
    settings = ("listen_addresses=127.0.0.1", f"unix_socket_directories={folder}", "fsync=off")
    command = [*as_user, programs / "postgres", "-D", data, "-p", port]
    for setting in settings:
        command += ["-c", setting]
    server = Server("postgresql", port, list(map(str, command)), environment, folder / "log.txt")
    server.start()
    try:
        quoted = PASSWORD.replace("'", "''")
        statements = [f"CREATE ROLE {user} LOGIN PASSWORD '{quoted}'" for user in USERS]
        statements += [
            f"CREATE DATABASE {DATABASE} OWNER writer",
            "CREATE DATABASE other OWNER writer",
        ]
        reading = [
            "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader",
            "ALTER DEFAULT PRIVILEGES FOR ROLE writer GRANT SELECT ON TABLES TO reader",
        ]
        for database, texts in (("postgres", statements), (DATABASE, reading)):
            for text in texts:
                psql = [programs / "psql", "-q", "-h", "127.0.0.1", "-p", str(port), "-U", "owner"]
                _run([*psql, "-d", database, "-c", text], environment | {"PGPASSWORD": PASSWORD})
    finally:
        server.stop()
    return server


def mariadb(root: Path, folder: Path) -> Server:
    """MariaDB with databases and the users; not started yet."""
    environment = _environment(root)
    folder.mkdir(parents=True)
    as_user = _unprivileged(folder)
    data = folder / "data"
    base = ("--no-defaults", f"--basedir={root / 'usr'}", f"--datadir={data}")
    messages = f"--lc-messages-dir={root / 'usr/share/mysql'}"
    _run(
        [
            *as_user,
            root / "usr/bin/mariadb-install-db",
            *base,
            "--skip-test-db",
            "--auth-root-authentication-method=normal",
        ],
        environment,
    )
    script = folder / "users.sql"
    quoted = PASSWORD.replace("'", "''")
    lines = [f"CREATE DATABASE IF NOT EXISTS {name};" for name in (DATABASE, "other")]
    for user, rights in zip(USERS, ("ALL", "SELECT"), strict=True):
        lines.append(f"CREATE USER IF NOT EXISTS '{user}'@'%' IDENTIFIED BY '{quoted}';")
        lines.append(f"GRANT {rights} ON *.* TO '{user}'@'%';")
    lines.append("DELETE FROM mysql.global_priv WHERE User = ''; FLUSH PRIVILEGES;")
    script.write_text("\n".join(lines))
    port = _free_port()
    command = [
        *as_user, root / "usr/sbin/mariadbd", *base, messages, "--bind-address=127.0.0.1",
        f"--port={port}", f"--socket={folder / 'socket'}", f"--init-file={script}",
        f"--pid-file={folder / 'pid'}", "--skip-log-bin",
    ]  # fmt: skip
    return Server("mysql", port, list(map(str, command)), environment, folder / "log.txt")


MAKERS: dict[str, Callable[[Path, Path], Server]] = {"postgresql": postgresql, "mariadb": mariadb}


@contextlib.contextmanager
def running(root: Path, name: str, folder: Path) -> Iterator[Server]:
    """A server of a kind, while the context is open."""
    server = MAKERS[name](root, folder)
    server.start()
    try:
        yield server
    finally:
        server.stop(signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)


def _environment(root: Path) -> dict[str, str]:
    libraries = root / "usr/lib" / f"{os.uname().machine}-linux-gnu"
    return {"LD_LIBRARY_PATH": str(libraries), "LC_ALL": "C", "HOME": "/nonexistent"}


def _unprivileged(folder: Path) -> list[str]:
    """How to start what refuses to run as root, in a folder that it may write to."""
    if os.geteuid() != 0:
        return []
    os.chown(folder, 65534, 65534)
    return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


def _run(command: list, environment: dict[str, str]) -> None:
    done = subprocess.run(
        list(map(str, command)), env={**os.environ, **environment}, capture_output=True, text=True
    )
    if done.returncode:
        print(done.stdout, done.stderr, file=sys.stderr)  # noqa: T201
        done.check_returncode()


def _free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]
