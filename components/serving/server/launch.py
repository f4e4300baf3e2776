"""Starts a server of models in a process of its own: TensorFlow Serving, or the stand-in.

Both take the same flags, so what is started and asked by `python -m pipeline serve` and by the
serving check does not depend on which of them a machine has.
"""

import contextlib
import dataclasses
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

from components.errors import ConfigError, ServingError
from components.runtime import MODEL_SERVER

_PROJECT = Path(__file__).resolve().parents[3]
_POLL_SECONDS = 0.05
_END_SECONDS = 15


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Server:
    """One that was started."""

    process: subprocess.Popen
    model: str
    """The name that it serves by."""
    host: str
    port: int
    """Of gRPC."""
    rest_port: int
    log: Path
    """What it said."""

    @property
    def rest_address(self) -> str:
        """For `components.serving.client.Client`."""
        return f"http://{self.host}:{self.rest_port}"

    @property
    def grpc_address(self) -> str:
        """The same."""
        return f"grpc://{self.host}:{self.port}"

    def get(self, path: str = "") -> dict:
        """The JSON at a path below the model's, such as `/metadata`.

        Raises:
            OSError: there is no answer, or an error.
        """
        # Proxies of the environment are for other machines.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{self.rest_address}/v1/models/{self.model}{path}", timeout=60) as answer:
            return json.load(answer)

    def wait_until_available(self, timeout: float) -> None:
        """Returns when a version is served.

        Raises:
            ServingError: the server ends, says that the model does not load, or takes longer.
        """
        give_up = time.monotonic() + timeout
        while True:
            if self.process.poll() is not None:
                raise ServingError(
                    f"expected a server of {self.model}; got an end with status "
                    f"{self.process.returncode}: {self.last_words()}; to fix, see what it said"
                )
            with contextlib.suppress(OSError, ValueError):
                versions = self.get()["model_version_status"]
                if any(version["state"] == "AVAILABLE" for version in versions):
                    return
                failed = [v["status"]["error_message"] for v in versions if v["state"] == "END"]
                if failed:
                    raise ServingError(
                        f"expected {self.model} to load; got {failed[-1]}; to fix, see the export "
                        "in components/serving/signatures.py"
                    )
            if time.monotonic() > give_up:
                raise ServingError(
                    f"expected {self.model} to load within {timeout:g} s; got {self.last_words()}; "
                    "to fix, raise serving.timeout_seconds or see why it hangs"
                )
            time.sleep(_POLL_SECONDS)

    def last_words(self) -> str:
        """The end of what it said."""
        lines = self.log.read_text(errors="replace").split("\n")
        return " ".join(line for line in lines[-6:] if line)[-500:] or "no word"


def find_program(program: str = MODEL_SERVER) -> str | None:
    """The path of TensorFlow Serving; None where a machine has none.

    Raises:
        ConfigError: another one than the usual is asked for and is not there.
    """
    found = shutil.which(program)
    if found is None and program != MODEL_SERVER:
        raise ConfigError(
            f"expected model_server to be a program; got {program}, which is none; to fix, give "
            "its path, or leave it out"
        )
    return found


@contextlib.contextmanager
def running(
    base_path: str,
    model: str,
    *,
    program: str | None,
    log: Path,
    host: str = "localhost",
    port: int = 0,
    rest_port: int = 0,
    retries: int = 5,
    request_log: str | None = None,
    request_log_share: float = 1.0,
    flags: Sequence[str] = (),
) -> Iterator[Server]:
    """A server of the versions in a folder, which ends when the context does.

    Args:
        base_path: the folder of the versions.
        model: the name to serve them by.
        program: of `find_program`; None for the stand-in.
        log: a file for what the server says.
        host: that the stand-in listens at; TensorFlow Serving does at every address of a machine.
        port: of gRPC; 0 for any that is free.
        rest_port: of REST, likewise.
        retries: of a version that does not load.
        request_log: a file for measures of the requests, of the stand-in alone.
        request_log_share: of the requests that are logged, in (0, 1].
        flags: others, as they are, such as those for batching.

    Raises:
        ConfigError: there is no such host, or a port is taken.
    """
    port, rest_port = _free_port(host, port), _free_port(host, rest_port)
    own = {
        "port": port,
        "rest_api_port": rest_port,
        "model_name": model,
        "model_base_path": base_path,
        "max_num_load_retries": retries,
        "file_system_poll_wait_seconds": 1,
    }
    if program:
        command = [program]
    else:
        # Its standard input ends with this process, however that ends.
        command = [sys.executable, "-m", "components.serving.server", "--until_stdin_closes"]
        own["host"] = host
        if request_log is not None:
            own |= {"request_log": request_log, "request_log_share": request_log_share}
    path = os.pathsep.join(filter(None, (str(_PROJECT), os.environ.get("PYTHONPATH"))))
    with open(log, "wb") as file:
        process = subprocess.Popen(
            [*command, *(f"--{name}={value}" for name, value in own.items()), *flags],
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=os.environ | {"PYTHONPATH": path},
        )
    try:
        yield Server(
            process=process, model=model, host=host, port=port, rest_port=rest_port, log=log
        )
    finally:
        process.stdin.close()
        process.terminate()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port(host: str, wanted: int) -> int:
    """The port, if nothing listens there; any that is free for 0."""
    try:
        with socket.create_server((host, wanted)) as probe:
            return probe.getsockname()[1]
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"expected to listen at {host}:{wanted}; got {error}; to fix, give another port"
        ) from error
