"""Reads logs of requests: this project's own, and those of TensorFlow Serving.

Own logs are JSON, a line for each picture, see `request_log`. TensorFlow Serving's, by the
`logging_config` of its `ModelConfig`, are TFRecords of `PredictionLog` (tensorflow_serving/apis/
prediction_log.proto) with the pictures in them, which are decoded and measured here; they have
neither times nor durations. Both may be gzipped. One line or request is in memory at a time.
"""

import dataclasses
import glob
import gzip
import json
import os
import sys
import zlib
from collections.abc import Sequence
from typing import Any, BinaryIO, Literal

from components import texts
from components.errors import ConfigError, DataError
from components.observation.request_log import SCHEMA
from components.observation.sums import Line, Sums
from components.storage import tfrecords

STDIN = "-"
Window = Literal["day", "hour"]

_FORMATS = {"day": "%Y-%m-%d", "hour": "%Y-%m-%d %H:00"}
_WINDOWS = 10_000
_LONGEST_LINE = 2**20
_GZIP = b"\x1f\x8b\x08"
_PEEKED = 12
"""The start of a TFRecord: its length in 8 bytes, the highest of them 0 in any file there can be,
and a checksum. JSON has no byte 0."""


@dataclasses.dataclass(slots=True)
class Observed:
    """What logs hold."""

    total: Sums = dataclasses.field(default_factory=Sums)
    windows: dict[str, Sums] = dataclasses.field(default_factory=dict)
    """By day or hour, UTC, in the order of their lines; empty unless asked for."""
    other_models: int = 0
    """Pictures and requests of other models, or of other signatures."""
    other_schemas: int = 0
    """Lines that another release wrote."""
    broken: int = 0
    """Lines and records that are none."""
    untimed: int = 0
    """Pictures that belong to no window, for their time is not known."""
    notes: list[str] = dataclasses.field(default_factory=list)
    """What became of files that could not be read to their end."""

    def passed_over(self) -> list[str]:
        """What was not counted, for people."""
        counts = (
            (self.other_models, "of another model or signature"),
            (self.other_schemas, "of another schema"),
            (self.broken, "broken"),
            (self.untimed, "without a time, in no window"),
        )
        lines = [f"{texts.counted(n, 'line')} {what}" for n, what in counts if n]
        return [*lines, *self.notes]


def find(patterns: Sequence[str]) -> list[str]:
    """The files that paths and patterns with `*` name, each once.

    Raises:
        ConfigError: one names no file, or one that cannot be read.
    """
    found: dict[str, None] = {}
    for pattern in patterns:
        names = [pattern]
        if pattern != STDIN and not os.path.exists(pattern):
            names = sorted(glob.glob(pattern, recursive=True))
        if not names:
            raise ConfigError(
                f"expected a log of requests at {pattern}; got no such file; to fix, give the "
                "--log of `ask` or `serve`, files of TensorFlow Serving's log, or -"
            )
        for name in names:
            if name != STDIN and not (os.path.isfile(name) and os.access(name, os.R_OK)):
                raise ConfigError(
                    f"expected a log of requests at {name}; got no file that can be read; to fix, "
                    "give a file, or a pattern such as 'FOLDER/*'"
                )
        found |= dict.fromkeys(names)
    return list(found)


def read(files: Sequence[str], model: str, by: Window | None = None) -> Observed:
    """Sums over all lines of files, as far as they are of one model.

    Args:
        files: paths; `-` is the standard input.
        model: the name that it is served by.
        by: how long a window is; None for no windows.

    Raises:
        DataError: there is no line of that model in them, or too many windows.
    """
    observed = Observed()
    for name in files:
        if name == STDIN:
            _read_one(sys.stdin.buffer, "the standard input", model, by, observed)
        else:
            with open(name, "rb") as file:
                _read_one(file, name, model, by, observed)
    if not observed.total.pictures:
        said = "; ".join(observed.passed_over()) or "empty files"
        raise DataError(
            f"expected requests of {model} in {texts.listed(list(files))}; got none: {said}; to "
            "fix, give another log, or --name for another model"
        )
    return observed


def _read_one(file: BinaryIO, name: str, model: str, by: Window | None, observed: Observed) -> None:
    start = file.peek(_PEEKED)
    is_zipped = start.startswith(_GZIP)
    content = gzip.GzipFile(fileobj=file) if is_zipped else file
    try:
        start = content.peek(_PEEKED)[:_PEEKED] if is_zipped else start[:_PEEKED]
        if b"\0" in start:
            is_file = not is_zipped and name == file.name
            size = os.fstat(file.fileno()).st_size if is_file else None
            for record in tfrecords.read_opened(content, "", size):
                _add_record(record, model, by, observed)
        else:
            _read_lines(content, model, by, observed)
    except (tfrecords.TFRecordError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        # A server that is still writing has written a part of its last record, or block.
        observed.notes.append(f"{name} was read up to where it is cut off: {error}")


def _read_lines(file: BinaryIO, model: str, by: Window | None, observed: Observed) -> None:
    is_rest = False
    while text := file.readline(_LONGEST_LINE):
        is_whole = text.endswith(b"\n")
        was_rest, is_rest = is_rest, not is_whole and len(text) == _LONGEST_LINE
        if was_rest or not text.strip():
            continue
        if is_rest:
            observed.broken += 1
            continue
        try:
            content = json.loads(text)
            if not isinstance(content, dict) or "schema" not in content:
                raise ValueError("no line of a log")
            if content["schema"] != SCHEMA:
                observed.other_schemas += 1
                continue
            _add(content, model, by, observed)
        except (ValueError, RecursionError):
            observed.broken += 1


def _add(content: dict[str, Any], model: str, by: Window | None, observed: Observed) -> None:
    line = Line(content)
    if line.model != model:
        observed.other_models += 1
        return
    observed.total.add(line)
    if by is None:
        return
    if line.time is None:
        observed.untimed += 1
        return
    window = line.time.strftime(_FORMATS[by])
    if window not in observed.windows:
        if len(observed.windows) == _WINDOWS:
            raise DataError(
                f"expected at most {_WINDOWS:,} windows in a log; got more; to fix, give --by day, "
                "or a part of the log"
            )
        observed.windows[window] = Sums()
    observed.windows[window].add(line)


def _add_record(record: bytes, model: str, by: Window | None, observed: Observed) -> None:
    """Counts the pictures of a `PredictionLog`."""
    # Imported here: own logs need no TensorFlow.
    from google.protobuf.message import DecodeError
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

    from components.observation import measuring
    from components.serving import tensors
    from components.serving.interface import IMAGE_BYTES

    try:
        found = PredictionLog.FromString(record)
        request, response = found.predict_log.request, found.predict_log.response
        is_asked = found.WhichOneof("log_type") == "predict_log"
        if not is_asked or request.model_spec.name != model or IMAGE_BYTES not in request.inputs:
            observed.other_models += 1
            return
        pictures = tensors.to_array(request.inputs[IMAGE_BYTES], 2**31).ravel()
        if pictures.dtype != object:
            raise ValueError("no files of pictures")
        outputs = {name: tensors.to_array(value, 2**31) for name, value in response.outputs.items()}
    except (DecodeError, ValueError):
        observed.broken += 1
        return
    spec = request.model_spec
    asked = spec.version.value if spec.HasField("version") else spec.version_label or None
    answered = response.model_spec
    common = {
        "schema": SCHEMA,
        "time": None,
        "model": model,
        "asked": asked,
        "version": answered.version.value if answered.HasField("version") else None,
        "seconds": None,
    }
    has_answer = found.predict_log.HasField("response")
    for row in measuring.rows(list(pictures), outputs if has_answer else None):
        try:
            _add({**common, **row}, model, by, observed)
        except ValueError:
            observed.broken += 1
