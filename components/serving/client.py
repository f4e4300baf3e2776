"""Asks a server of models, over REST or gRPC: pictures to masks, from any program.

    from components.serving.client import Client

    (answer,) = Client("grpc://localhost:8500", "deeplab").segment([open("cat.jpg", "rb").read()])

TensorFlow is not imported. gRPC's messages are not limited to the 4 MiB that its clients take by
default, bytes travel as REST wants them, and a server that is starting is asked again.
"""

import base64
import contextlib
import dataclasses
import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import numpy as np

from components.errors import AnswerError, ConfigError
from components.serving.interface import ERROR, IMAGE_BYTES, MASK_BYTES

if TYPE_CHECKING:
    from components.observation.request_log import RequestLog

_HERE = ("localhost", "127.0.0.1", "::1")
_FIRST_WAIT_SECONDS = 0.2
_FIX = "to fix, see the server's log"


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What became of one picture."""

    mask: bytes
    """A grey PNG of class ids, as large as the picture; empty where there is an error."""
    error: str
    """Why there is no mask; else empty."""
    outputs: Mapping[str, Any]
    """All that the model answered, by the names of its outputs."""


class Client:
    """One model of one server.

    Args:
        address: `http://host:port`, `https://…` or `grpc://host:port`.
        model: the name that it is served by.
        version: a number, a label such as `stable`, or None for the highest.
        timeout: seconds for one answer.
        attempts: so often is a server asked that is not there or not ready, with growing pauses.
        log: what `segment` asks and is answered is written to; the caller closes it. It takes
            TensorFlow, to measure the pictures.

    Raises:
        ConfigError: the address is none.
    """

    def __init__(
        self,
        address: str,
        model: str = "deeplab",
        *,
        version: int | str | None = None,
        timeout: float = 60,
        attempts: int = 5,
        log: "RequestLog | None" = None,
    ):
        try:
            parts = urlsplit(address)
            known = parts.scheme in ("http", "https", "grpc") and parts.hostname is not None
            known = known and (parts.scheme != "grpc" or parts.port is not None)
        except ValueError:
            known = False
        if not known:
            raise ConfigError(
                f"expected an address as http://host:port or grpc://host:port; got {address!r}; to "
                "fix, write it in full"
            )
        self.address = address.rstrip("/")
        self.model, self.version = model, version
        self.timeout, self.attempts = timeout, attempts
        self.log = log
        self._scheme, self._target = parts.scheme, parts.netloc
        # What a machine has set for the way out is not for itself.
        is_here = parts.hostname in _HERE
        proxies = [urllib.request.ProxyHandler({})] if is_here else []
        self._opener = urllib.request.build_opener(*proxies)
        self._options = [
            ("grpc.max_receive_message_length", -1),
            ("grpc.max_send_message_length", -1),
            ("grpc.enable_http_proxy", int(not is_here)),
        ]

    def segment(self, pictures: Sequence[bytes]) -> list[Answer]:
        """The masks of picture files of any sizes, in one request.

        Raises:
            AnswerError: see `predict`; a picture that is none fails no other, see `Answer.error`.
        """
        start, outputs = time.monotonic(), None
        try:
            outputs = self.predict({IMAGE_BYTES: pictures})
        finally:
            if self.log is not None:
                version = self.version if isinstance(self.version, int) else None
                seconds = time.monotonic() - start
                self.log.add(self.model, self.version, version, seconds, pictures, outputs)
        for name in (MASK_BYTES, ERROR):
            values = outputs.get(name, np.array(None))
            if values.shape != (len(pictures),) or not all(isinstance(v, bytes) for v in values):
                raise self._refused("no picture's answer", f"outputs {', '.join(outputs)}")
        rows = [
            {name: values[row] for name, values in outputs.items() if len(values) == len(pictures)}
            for row in range(len(pictures))
        ]
        return [Answer(row[MASK_BYTES], row[ERROR].decode(), row) for row in rows]

    def predict(
        self, inputs: Mapping[str, Sequence[bytes] | np.ndarray], signature: str = ""
    ) -> dict[str, np.ndarray]:
        """What a signature answers.

        Args:
            inputs: by their names in the signature: bytes of each element, or arrays.
            signature: its name; the default one for none.

        Returns:
            Arrays by the names of the outputs; texts are bytes. A single output that REST answers
            has the name `outputs`.

        Raises:
            AnswerError: the server is not there, or refuses.
        """
        ask = self._predict_grpc if self._scheme == "grpc" else self._predict_rest
        return self._with_patience(lambda: ask(inputs, signature))

    def _with_patience(self, ask: Callable[[], Any]) -> Any:
        for attempt in range(self.attempts):
            try:
                return ask()
            except _NotReadyError as error:
                last = error
            if attempt + 1 < self.attempts:
                time.sleep(_FIRST_WAIT_SECONDS * 2**attempt)
        raise AnswerError(
            f"expected a server at {self.address}; got {last} after {self.attempts} attempts; to "
            "fix, start one with `python -m pipeline serve`, or give its address"
        )

    def _refused(self, status: object, message: str) -> AnswerError:
        return AnswerError(
            f"expected an answer of {self.model} from {self.address}; got {status}, {message}; "
            f"{_FIX}"
        )

    # === REST ===

    def _predict_rest(self, inputs: Mapping, signature: str) -> dict[str, np.ndarray]:
        body: dict[str, Any] = {"inputs": {name: _to_json(v) for name, v in inputs.items()}}
        if signature:
            body["signature_name"] = signature
        kind = "versions" if isinstance(self.version, int) else "labels"
        chosen = "" if self.version is None else f"/{kind}/{self.version}"
        request = urllib.request.Request(
            f"{self.address}/v1/models/{quote(self.model, safe='')}{chosen}:predict",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        try:
            with self._opener.open(request, timeout=self.timeout) as answer:
                outputs = json.load(answer)["outputs"]
            if not isinstance(outputs, dict):
                outputs = {"outputs": outputs}
            return {name: _from_json(value) for name, value in outputs.items()}
        except urllib.error.HTTPError as error:
            message = error.read().decode(errors="replace")
            with contextlib.suppress(ValueError, TypeError, KeyError):
                message = json.loads(message)["error"]
            if error.code == http.client.SERVICE_UNAVAILABLE:
                raise _NotReadyError(message) from error
            raise self._refused(error.code, message) from error
        except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, TimeoutError):
                raise self._refused("nothing", f"no answer within {self.timeout} s") from error
            raise _NotReadyError(reason) from error
        except (ValueError, KeyError, TypeError) as error:
            raise self._refused("something else", f"{type(error).__name__}: {error}") from error

    # === gRPC ===

    def _predict_grpc(self, inputs: Mapping, signature: str) -> dict[str, np.ndarray]:
        # Imported here: REST needs neither grpcio nor protobuf.
        import grpc

        from components.serving import protos, tensors

        request = protos.PredictRequest()
        request.model_spec.name, request.model_spec.signature_name = self.model, signature
        if isinstance(self.version, int):
            request.model_spec.version.value = self.version
        elif self.version is not None:
            request.model_spec.version_label = self.version
        for name, values in inputs.items():
            array = values if isinstance(values, np.ndarray) else tensors.strings(values)
            request.inputs[name].CopyFrom(tensors.to_proto(array))
        prediction, _ = protos.services()
        with grpc.insecure_channel(self._target, self._options) as channel:
            try:
                answer = prediction.PredictionServiceStub(channel).Predict(
                    request, timeout=self.timeout
                )
            except grpc.RpcError as error:
                if error.code() == grpc.StatusCode.UNAVAILABLE:
                    raise _NotReadyError(error.details()) from error
                raise self._refused(error.code().name, error.details()) from error
        return {name: tensors.to_array(p, 2**31) for name, p in answer.outputs.items()}


class _NotReadyError(Exception):
    """The server is not there, or not ready: it may be asked again."""


def _to_json(values: Sequence[bytes] | np.ndarray) -> list:
    if isinstance(values, np.ndarray) and values.dtype != object:
        return values.tolist()
    return [{"b64": base64.b64encode(value).decode()} for value in values]


def _from_json(value: Any) -> np.ndarray:
    def plain(item: Any) -> Any:
        if isinstance(item, list):
            return [plain(one) for one in item]
        if isinstance(item, dict):
            return base64.b64decode(item["b64"], validate=True)
        return item.encode() if isinstance(item, str) else item

    decoded = plain(value)
    flat = decoded
    while isinstance(flat, list) and flat:
        flat = flat[0]
    return np.array(decoded, object if isinstance(flat, bytes) else None)
