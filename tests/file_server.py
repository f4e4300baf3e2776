"""A server of files on this machine that can fail in the ways that servers on the network do."""

import contextlib
import http.server
import random
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

CONTENT = random.Random(0).randbytes(300_000)


@dataclass
class Remote:
    """A file on the server, and how the server hands it out."""

    content: bytes = CONTENT
    etag: str | None = '"1"'
    modified: str | None = None
    ranges: bool = True
    if_range: bool = True
    most: int | None = None
    """So many bytes of a range at a time."""
    length: int | None = None
    """What the header says; None: the truth; -1: nothing."""
    chunked: bool = False
    statuses: list[int] = field(default_factory=list)
    """Of the next answers, before it gets well."""
    breaks: list[int] = field(default_factory=list)
    """After how many bytes the next answers break off."""
    gate: threading.Event | None = None
    """What an answer waits for where it would break off."""
    asked: list[str | None] = field(default_factory=list)
    """The Range of every request."""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    files: dict[str, Remote]

    def do_GET(self):
        remote = self.files.get(self.path)
        if remote is None:
            return self.send_error(404)
        span = self.headers.get("Range")
        remote.asked.append(span)
        if remote.statuses:
            return self.send_error(remote.statuses.pop(0))
        state = remote.etag or remote.modified
        start = int(re.fullmatch(r"bytes=(\d+)-", span)[1]) if span and remote.ranges else 0
        if remote.if_range and self.headers.get("If-Range", state) != state:
            start = 0
        if start >= len(remote.content) > 0:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(remote.content)}")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        body = remote.content[start:][: remote.most if start else None]
        self.send_response(206 if start else 200)
        if start:
            last, size = start + len(body) - 1, len(remote.content)
            self.send_header("Content-Range", f"bytes {start}-{last}/{size}")
        for name, value in (("ETag", remote.etag), ("Last-Modified", remote.modified)):
            if value:
                self.send_header(name, value)
        if remote.chunked:
            self.send_header("Transfer-Encoding", "chunked")
            body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        elif remote.length != -1:
            self.send_header("Content-Length", str(remote.length or len(body)))
        self.end_headers()
        self.close_connection = True
        stop = remote.breaks.pop(0) if remote.breaks else len(body)
        self.wfile.write(body[:stop])
        if remote.gate and stop < len(body):
            self.wfile.flush()
            remote.gate.wait()
            with contextlib.suppress(OSError):
                self.wfile.write(body[stop:])

    def log_message(self, *args):
        pass


@contextlib.contextmanager
def serving(files: dict[str, Remote]) -> Iterator[list[str]]:
    """Puts files on a server of their own while the context is open; gives the address of each."""
    handler = type("Files", (Handler,), {"files": {f"/{k}": v for k, v in files.items()}})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True).start()
        yield [f"http://127.0.0.1:{httpd.server_port}/{name}" for name in files]
        httpd.shutdown()
