"""Ask a server of models for masks: of a picture, or of every picture in a folder.

Any server that takes TensorFlow Serving's requests will do, here or elsewhere.
"""

import argparse
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from components import texts
from components.errors import ConfigError, DataError
from components.observation.request_log import RequestLog
from components.prediction import files
from components.serving.client import Client


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this verb."""
    parser.add_argument("address", help="http://host:port, https://… or grpc://host:port")
    parser.add_argument("picture", type=Path, help="JPEG, PNG, GIF or BMP, or a folder of them")
    parser.add_argument(
        "--to",
        type=Path,
        required=True,
        help="the mask, a grey PNG of class ids; of a folder, a folder of NAME.png",
    )
    parser.add_argument("--model", default="deeplab", help="its name (default: %(default)s)")
    parser.add_argument(
        "--model-version", help="its number, or a label; the default is what is served"
    )
    parser.add_argument(
        "--timeout", type=float, default=60, help="seconds for one picture (default: %(default)g)"
    )
    parser.add_argument(
        "--log", metavar="FILE", help="add measures of each picture and answer to it, for `observe`"
    )


def main(arguments: argparse.Namespace, console: Console) -> None:
    """Asks, a picture at a time, and writes the masks.

    Raises:
        AnswerError: the server is not there, or refuses.
        ConfigError: there is no such address, picture or place for the masks.
        DataError: naming the pictures that the model has no mask for; all others are written.
    """
    version = arguments.model_version
    client = Client(
        arguments.address,
        arguments.model,
        version=int(version) if version is not None and version.isdecimal() else version,
        timeout=arguments.timeout,
    )
    todo = list(_pictures(arguments.picture, arguments.to))
    refused = []
    with contextlib.ExitStack() as stack:
        if arguments.log is not None:
            client.log = stack.enter_context(RequestLog(arguments.log))
        progress = Progress(console=console, transient=True, disable=len(todo) == 1)
        stack.enter_context(progress)
        for picture, target in progress.track(todo, description="Asking"):
            (answer,) = client.segment([_read(picture)])
            if answer.error:
                refused.append(f"{picture}: {answer.error}")
            else:
                _write(target, answer.mask)
    console.print(
        f"{texts.counted(len(todo) - len(refused), 'mask')} written to {arguments.to}",
        highlight=False,
        markup=False,
    )
    if refused:
        raise DataError(
            f"expected pictures that the model can read; got {texts.listed(refused)}; to fix, "
            "leave those out"
        )


def _pictures(picture: Path, target: Path) -> Iterator[tuple[Path, Path]]:
    """Each picture, and where its mask goes."""
    if not picture.is_dir():
        yield picture, target
        return
    found = sorted(path for path in picture.iterdir() if path.is_file())
    if not found:
        raise ConfigError(
            f"expected pictures in {picture}; got an empty folder; to fix, give another one"
        )
    for path, name in zip(found, files.targets([path.name for path in found]), strict=True):
        yield path, target / f"{name}.png"


def _read(picture: Path) -> bytes:
    try:
        return picture.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"expected a picture at {picture}; got {error.strerror}; to fix, give its path"
        ) from error


def _write(target: Path, mask: bytes) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_name(f".{target.name}.{os.getpid()}")
        unfinished.write_bytes(mask)
        unfinished.replace(target)
    except OSError as error:
        raise ConfigError(
            f"expected to write a mask to {target}; got {error}; to fix, give another --to"
        ) from error
