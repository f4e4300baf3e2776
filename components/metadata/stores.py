"""Connections to ML Metadata: a file, a database server, or ML Metadata's own server."""

import os
import random
import re
import socket
import tempfile
import time

from ml_metadata import errors, metadata_store
from ml_metadata.proto import metadata_store_pb2 as mlmd

from components.errors import ConfigError
from components.metadata.addresses import Address, parse
from components.private_names import PatientMetadataStore

_SECONDS = 10
"""A server that takes longer to take a connection is not there."""

_ATTEMPTS = 10

PROBE = "deeplab.Probe"
"""The type of a context that says nothing: whoever may write can make it."""


def connection(
    uri: str, password: str = ""
) -> mlmd.ConnectionConfig | mlmd.MetadataStoreClientConfig:
    """How to connect to ML Metadata.

    Args:
        uri: see `addresses.parse`.
        password: of the database's user; empty for none.
    """
    address = parse(uri)
    if address.scheme == "grpc":
        return mlmd.MetadataStoreClientConfig(host=address.host, port=address.port)
    config = mlmd.ConnectionConfig()
    match address.scheme:
        case "sqlite":
            config.sqlite.filename_uri = address.path
            config.sqlite.connection_mode = mlmd.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
        case "mysql":
            config.mysql.host, config.mysql.port = address.host, address.port
            config.mysql.database, config.mysql.user = address.path, address.user
            config.mysql.password = password
            config.mysql.skip_db_creation = True
        case "postgresql":
            # ML Metadata puts these into a connection string, as they are.
            config.postgresql.host, config.postgresql.port = address.host, str(address.port)
            config.postgresql.dbname = address.path
            config.postgresql.user = _quoted(address.user)
            if password:
                config.postgresql.password = _quoted(password)
            config.postgresql.skip_db_creation = True
    return config


def _quoted(text: str) -> str:
    """As libpq reads a value (PostgreSQL's manual, 34.1.1.1)."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def password(variable: str) -> str:
    """The password that an environment variable holds; empty where none is named.

    Raises:
        ConfigError: it is not set.
    """
    if variable and variable not in os.environ:
        raise ConfigError(
            f"expected the password of ML Metadata in the environment variable {variable}; got "
            "none; to fix, export it"
        )
    return os.environ.get(variable, "") if variable else ""


def opened(uri: str, variable: str = "") -> metadata_store.MetadataStore:
    """ML Metadata, ready to be asked; a server that goes away is waited for.

    Args:
        uri: see `addresses.parse`.
        variable: the environment variable with the password; empty for none.

    Raises:
        ConfigError: there is no server, or it does not take user, password or database.
    """
    address = parse(uri)
    config = connection(uri, password(variable))
    if address.scheme == "sqlite":
        return metadata_store.MetadataStore(config)
    shown = f"{address.scheme}://{address.user}{'@' if address.user else ''}{address.host}"
    shown += f":{address.port}" + (f"/{address.path}" if address.path else "")
    require_reachable(address)
    for _ in range(_ATTEMPTS):
        try:
            with _standard_error() as errors_said:
                store = PatientMetadataStore(config)
                store.get_artifact_types()
            return store
        except (RuntimeError, errors.StatusError) as error:
            said = " ".join(f"{errors_said()} {error}".split())
        # Of two that make the tables of a new database at once, one fails.
        if not re.search("already exists|duplicate key|concurrent connection", said):
            break
        time.sleep(random.uniform(0.1, 1))
    raise ConfigError(
        f"expected ML Metadata at {shown}; got {_reason(said)}; to fix, {_fix(address, said)}"
    )


def require_reachable(address: Address) -> None:
    """Refuses a server that takes no connection.

    Raises:
        ConfigError: with what the system says.
    """
    try:
        socket.create_connection((address.host, address.port), timeout=_SECONDS).close()
    except OSError as error:
        raise ConfigError(
            f"expected a server of ML Metadata at {address.host}:{address.port}; got "
            f"{error.strerror or error}; to fix, start it, or correct metadata in the environment"
        ) from error


def require_writable(store: metadata_store.MetadataStore) -> None:
    """Refuses a user who may only read, before a run has anything to lose.

    Raises:
        ConfigError: naming what the server says.
    """
    try:
        kind = store.put_context_type(mlmd.ContextType(name=PROBE))
        store.put_contexts([mlmd.Context(type_id=kind, name="probe")])
    except errors.AlreadyExistsError:
        return
    except errors.StatusError as error:
        raise ConfigError(
            "expected a user who may write to ML Metadata; got one who may not: "
            f"{_reason(str(error))}; to fix, grant INSERT and UPDATE on all its tables, or name "
            "another user in metadata"
        ) from error


class _standard_error:  # noqa: N801
    """Takes what libraries print to the standard error, which alone says what a server refused."""

    def __enter__(self):
        self._file = tempfile.TemporaryFile()
        self._saved = os.dup(2)
        os.dup2(self._file.fileno(), 2)
        return self._text

    def __exit__(self, *_):
        os.dup2(self._saved, 2)
        os.close(self._saved)

    def _text(self) -> str:
        self._file.seek(0)
        return self._file.read().decode(errors="replace")


def _reason(said: str) -> str:
    found = re.search(r"(FATAL|ERROR|errno|Access denied)[^\n]*?(?=PostgreSQL metadata|$)", said)
    return (found.group() if found else said).strip().rstrip(".")[-300:]


def _fix(address: Address, said: str) -> str:
    if "version" in said:
        return "use the version of ml-metadata that made the database, or another database"
    if address.scheme == "mysql":
        return (
            "see that the database is there, and that user and password are right; an anonymous "
            f"user of this host comes before '{address.user}'@'%': DROP USER ''@'localhost'"
        )
    return "see that the database is there, and that user and password are right"
