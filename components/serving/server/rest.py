"""The REST interface: predictions in rows and columns, model status, metadata."""

import http.server
import inspect
import json
import os
import re
import threading
import zlib
from http import HTTPStatus
from urllib.parse import unquote, urlsplit

from absl import logging
from google.protobuf import json_format

from components.serving import protos
from components.serving.server import json_tensors, predict
from components.serving.server.models import Models
from components.serving.server.statuses import Refusal, invalid

_MODEL = r"(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
_PREDICT = re.compile(
    rf"/v1/models/(?P<name>[^/:]+){_MODEL}:(?P<method>classify|regress|predict)", re.I | re.A
)
_STATUS = re.compile(
    rf"/v1/models(?:/(?P<name>[^/:]+))?{_MODEL}(?:/(?P<metadata>metadata))?", re.I | re.A
)
_MAX_EXPANDED = 100 << 20
"""Of a compressed body, TensorFlow Serving's default."""

_DEFAULTS = next(
    {name: True}
    for name in ("always_print_fields_with_no_presence", "including_default_value_fields")
    if name in inspect.signature(json_format.MessageToJson).parameters
)
"""Also fields that were not set are written; protobuf 5 gave the option another name."""

_MAX_LINE = 1 << 16
_MAX_TRAILERS = 100
"""Bytes of a line, and lines after a body in chunks, as http.client's for headers."""

_IDLE_SECONDS = 60
"""A connection on which nothing comes for so long is closed."""


def start(models: Models, host: str, port: int, *, cors: bool) -> http.server.ThreadingHTTPServer:
    """Starts the interface in threads of its own.

    Args:
        models: what is served.
        host: to listen at.
        port: 0 for any that is free.
        cors: whether pages of other hosts may ask.

    Raises:
        OSError: the port is taken.
    """
    server = _Server((host, port), _Handler)
    server.models, server.cors = models, cors
    server.slots = threading.BoundedSemaphore(4 * (os.cpu_count() or 1))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def answer(models: Models, method: str, path: str, body: bytes) -> bytes:
    """The JSON that a request is answered by.

    Raises:
        Refusal: with what is wrong.
    """
    pattern = {"POST": _PREDICT, "GET": _STATUS}.get(method)
    found = pattern and pattern.fullmatch(path)
    if not found:
        raise invalid(f"Malformed request: {method} {path}")
    spec = _model_spec(found)
    if method == "POST":
        if found["method"].lower() != "predict":
            raise invalid(f"Expected a signature for {found['method']}; no model here has one")
        return _predict(models, spec, body)
    if not spec.name:
        raise invalid("Missing model name in request.")
    if found["metadata"]:
        return _metadata(models, spec)
    response = protos.GetModelStatusResponse(model_version_status=models.statuses(spec))
    return _to_json(response)


def _model_spec(found: re.Match) -> protos.ModelSpec:
    spec = protos.ModelSpec(name=_unquoted(found["name"] or ""))
    if found["version"]:
        number = int(found["version"]) if len(found["version"]) < 20 else 2**63
        if number >= 2**63:
            raise invalid(f"Failed to convert version: {found['version']} to numeric.")
        spec.version.value = number
    if found["label"]:
        spec.version_label = _unquoted(found["label"])
    return spec


def _unquoted(text: str) -> str:
    return unquote(text, errors="replace")


def _predict(models: Models, spec: protos.ModelSpec, body: bytes) -> bytes:
    document = json_tensors.parse(body)
    name = json_tensors.read_signature(document)
    number, model = models.find(spec)
    signature = predict.find_signature(model, name)
    if signature is None:
        name = name or predict.DEFAULT_SIGNATURE
        raise invalid(f'Serving signature name: "{name}" not found in signature def')
    if not signature.inputs:
        raise invalid(f"Failed to get input map for signature: {name or 'DEFAULT'}")
    inputs, in_rows = json_tensors.read_inputs(document, signature.inputs)
    outputs = predict.run_logged(models, spec, number, model, signature, inputs)
    return json_tensors.write_outputs(outputs, rows=in_rows)


def _metadata(models: Models, spec: protos.ModelSpec) -> bytes:
    request = protos.GetModelMetadataRequest(
        model_spec=spec, metadata_field=[predict.SIGNATURE_DEF]
    )
    response = predict.metadata(models, request)
    signatures = protos.SignatureDefMap()
    response.metadata[predict.SIGNATURE_DEF].Unpack(signatures)
    spec_json, signatures_json = _to_json(response.model_spec), _to_json(signatures)
    metadata = b'{"%s": %s}' % (predict.SIGNATURE_DEF.encode(), signatures_json)
    return b'{"model_spec": %s, "metadata": %s}' % (spec_json, metadata)


def _to_json(message) -> bytes:
    return json_format.MessageToJson(
        message, indent=1, preserving_proto_field_name=True, **_DEFAULTS
    ).encode()


class _Server(http.server.ThreadingHTTPServer):
    """With what the handlers share."""

    daemon_threads = True
    request_queue_size = 128
    models: Models
    cors: bool
    slots: threading.BoundedSemaphore
    """So many requests are worked on at once."""

    def handle_error(self, request, client_address) -> None:
        """A client that went away is no error of ours, and no reason for a trace."""
        logging.info("A connection with %s ended early", client_address)


class _Handler(http.server.BaseHTTPRequestHandler):
    """One connection; it may carry several requests."""

    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS
    server: _Server

    def do_GET(self) -> None:
        """Any method: those that there are not are refused like any wrong request."""
        path = urlsplit(self.path).path
        try:
            body = self._read_body()
        except Refusal as refusal:
            self._refuse(refusal)
            return
        if not (_PREDICT.fullmatch(path) or _STATUS.fullmatch(path)):
            self._send(HTTPStatus.NOT_FOUND, _error(f"Not found: {path}"))
            return
        if self.command == "OPTIONS":
            has_origin = "://" in self.headers.get("Origin", "")
            text = b"" if has_origin else _error("Origin header is missing in CORS preflight")
            self._send(HTTPStatus.OK if has_origin else HTTPStatus.BAD_REQUEST, text)
            return
        try:
            with self.server.slots:
                text = answer(self.server.models, self.command, path, body)
        except Refusal as refusal:
            self._refuse(refusal)
        except Exception as error:
            logging.exception("A request failed")
            text = _error(f"{type(error).__name__}: {error}")
            self._send(HTTPStatus.INTERNAL_SERVER_ERROR, text)
        else:
            self._send(HTTPStatus.OK, text)

    do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_GET

    def _read_body(self) -> bytes:
        """The body, whole and expanded.

        Raises:
            Refusal: it is not as long as it says, is too large, or does not expand.
        """
        self.close_connection = True  # Until it is read, the next request cannot be found.
        body = self._read_chunks() if "Transfer-Encoding" in self.headers else self._read_whole()
        self.close_connection = self.headers.get("Connection", "").lower() == "close"
        encoding = self.headers.get("Content-Encoding", "identity").lower()
        if encoding == "identity":
            return body
        if encoding not in ("gzip", "deflate"):
            raise invalid(f"expected Content-Encoding to be gzip; got {encoding[:40]}")
        return _expanded(body)

    def _read_whole(self) -> bytes:
        length = self.headers.get("Content-Length", "0")
        if not re.fullmatch(r"\d{1,18}", length, re.A):
            raise invalid(f"expected a Content-Length; got {length[:40]}")
        return self._read_exactly(int(length), 0)

    def _read_chunks(self) -> bytes:
        """Pieces with the size of each before it, as RFC 9112 has them in section 7.1."""
        encoding = self.headers["Transfer-Encoding"]
        # Of two lengths a proxy may believe the other one, and see other requests than we do.
        if encoding.strip().lower() != "chunked" or "Content-Length" in self.headers:
            raise invalid(
                "expected a Transfer-Encoding of chunked, and no Content-Length beside it; got "
                f"{encoding[:40]}"
            )
        body = bytearray()
        while size := self._read_chunk_size():
            body += self._read_exactly(size, len(body))
            if self.rfile.readline(3).rstrip(b"\r\n"):
                raise invalid(f"expected a chunk of {size} bytes; got a longer one")
        # What may follow are headers, of which none means anything here.
        for _ in range(_MAX_TRAILERS):
            if self.rfile.readline(_MAX_LINE) in (b"\r\n", b"\n"):
                return bytes(body)
        raise invalid(f"expected an empty line within {_MAX_TRAILERS} after a body; got none")

    def _read_chunk_size(self) -> int:
        line = self.rfile.readline(_MAX_LINE)
        found = re.fullmatch(rb"([0-9a-fA-F]{1,15})[ \t]*(;.*)?\r?\n", line)
        if not found:
            raise invalid(f"expected the size of a chunk; got {line[:40]!r}")
        return int(found[1], 16)

    def _read_exactly(self, size: int, before: int) -> bytes:
        if before + size > predict.MAX_BYTES:
            raise _TooLarge(f"expected at most {predict.MAX_BYTES} bytes; got {before + size}")
        read = self.rfile.read(size)
        if len(read) < size:
            raise invalid(f"expected {size} bytes; got {len(read)}")
        return read

    def _refuse(self, refusal: Refusal) -> None:
        self._send(refusal.http_status, _error(refusal.message))

    def _send(self, status: int, text: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        if self.server.cors:
            self.send_header("Access-Control-Allow-Origin", "*")
            self.send_header("Access-Control-Allow-Methods", "POST, GET")
            self.send_header("Access-Control-Allow-Headers", "Content-Type")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(text)

    def send_error(self, code: int, message: str | None = None, explain=None) -> None:
        """What http.server refuses itself, in the same form as all else."""
        del explain
        self.close_connection = True
        self.request_version = self.protocol_version  # Of what is no request it is unknown.
        self._send(code, _error(message or HTTPStatus(code).phrase))

    def log_message(self, format: str, *values) -> None:
        """Nothing for each request, as TensorFlow Serving."""


class _TooLarge(Refusal):
    """Of a body; http alone has a code for it."""

    http_status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE

    def __init__(self, message: str):
        super().__init__(invalid("").code, message)


def _expanded(body: bytes) -> bytes:
    # 32 and the largest window: gzip's header or zlib's, whichever is there.
    decompressor = zlib.decompressobj(32 + zlib.MAX_WBITS)
    try:
        expanded = decompressor.decompress(body, _MAX_EXPANDED)
    except zlib.error as error:
        raise invalid(f"expected a compressed body; got {error}") from None
    if decompressor.unconsumed_tail:
        raise _TooLarge(f"expected at most {_MAX_EXPANDED} bytes expanded; got more")
    if not decompressor.eof:
        raise invalid("expected a whole compressed body; got a part of it")
    return expanded


def _error(message: str) -> bytes:
    return json.dumps({"error": message}, indent=1).encode()
