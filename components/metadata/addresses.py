"""Addresses of ML Metadata, read without its library, which takes seconds to import."""

import dataclasses
from urllib.parse import unquote, urlsplit

PORTS = {"mysql": 3306, "postgresql": 5432, "grpc": 8080}
"""Kinds of servers, and the ports that they listen on where an address names none."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Address:
    """Where ML Metadata is, taken apart.

    Attributes:
        scheme: `sqlite`, or one of `PORTS`.
        path: of the file, or name of the database.
        host: of the server.
        port: likewise.
        user: of the database.
    """

    scheme: str
    path: str
    host: str = ""
    port: int = 0
    user: str = ""


def parse(uri: str) -> Address:
    """Takes an address apart: `sqlite:PATH`, `postgresql://USER@HOST:PORT/DATABASE` or its like.

    Raises:
        ValueError: it is none; what is wrong with it is said, one fault a line.
    """
    scheme, _, rest = uri.partition(":")
    if scheme == "sqlite" and rest:
        return Address(scheme=scheme, path=rest)
    if scheme not in PORTS or not rest.startswith("//"):
        raise ValueError(
            "expected metadata as sqlite:PATH, mysql://…, postgresql://… or grpc://…; got "
            f"{scheme!r}; to fix, write one of them"
        )
    parts = urlsplit(uri)
    faults = []
    if parts.password:
        faults.append(
            f"expected metadata without a password; got one in the {scheme}: address; to fix, put "
            "it into an environment variable, and the variable's name under secrets, as "
            "metadata_password"
        )
    try:
        port = parts.port or PORTS[scheme]
    except ValueError:
        port = 0
        faults.append(
            f"expected a port of 1 to 65535 in metadata; got another for {parts.hostname}; to fix, "
            "correct it"
        )
    database = unquote(parts.path.lstrip("/"))
    if not parts.hostname:
        faults.append("expected a host in metadata; got none; to fix, write scheme://user@host/…")
    if scheme != "grpc" and not (database and parts.username):
        faults.append(
            f"expected metadata as {scheme}://USER@HOST:PORT/DATABASE; got "
            f"{'no database' if parts.username else 'no user'}; to fix, write it in full"
        )
    if scheme == "grpc" and (database or parts.username):
        faults.append(
            "expected metadata as grpc://HOST:PORT; got more; to fix, leave user and database out: "
            "that server has its own"
        )
    if scheme == "mysql" and parts.hostname == "localhost":
        faults.append(
            "expected the address of a server in metadata; got localhost, for which the client of "
            "MySQL takes a Unix socket; to fix, write 127.0.0.1"
        )
    if faults:
        raise ValueError("\n".join(faults))
    return Address(
        scheme=scheme,
        path=database,
        host=parts.hostname or "",
        port=port,
        user=unquote(parts.username or ""),
    )
