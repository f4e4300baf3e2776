"""`python -m components.serving.server`: the stand-in, with TensorFlow Serving's own flags."""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Sequence

from absl import logging

from components import consoles
from components.errors import ConfigError, exit_codes
from components.observation.request_log import RequestLog
from components.serving.protos import ModelConfig, ModelServerConfig
from components.serving.server import batching, grpc_api, rest
from components.serving.server.batching import Batching, Parameters
from components.serving.server.models import Models, read_config
from components.serving.server.statuses import Refusal

_GRACE_SECONDS = 10
"""For the requests that are under way when the server is ended."""


def parser() -> argparse.ArgumentParser:
    """Of the command line; flags of TensorFlow Serving's that mean nothing here are refused."""
    parser = argparse.ArgumentParser(
        prog="python -m components.serving.server", description=__doc__, allow_abbrev=False
    )
    parser.add_argument("--host", default="localhost", help="to listen at (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8500, help="of gRPC; 0: any that is free")
    parser.add_argument("--rest_api_port", type=int, default=8501, help="of REST; 0: likewise")
    parser.add_argument("--model_name", default="default")
    parser.add_argument("--model_base_path", help="folder of the versions of the model")
    parser.add_argument("--model_config_file", help="in place of the two; protobuf as text")
    parser.add_argument("--model_config_file_poll_wait_seconds", type=int, default=0)
    parser.add_argument("--file_system_poll_wait_seconds", type=float, default=1)
    parser.add_argument("--max_num_load_retries", type=int, default=5)
    parser.add_argument("--load_retry_interval_micros", type=int, default=60_000_000)
    parser.add_argument("--enable_cors_support", action="store_true")
    for name in ("enable_batching", "enable_per_model_batching_parameters"):
        parser.add_argument(f"--{name}", nargs="?", type=_is_true, const=True, default=False)
    parser.add_argument("--batching_parameters_file", help="BatchingParameters; protobuf as text")
    parser.add_argument(
        "--until_stdin_closes", action="store_true", help="end when the one who started it ends"
    )
    parser.add_argument("--request_log", help="a file of JSON lines, one for each picture")
    parser.add_argument("--request_log_share", type=float, default=1.0)
    return parser


def _is_true(text: str) -> bool:
    """As TensorFlow's flags say it."""
    if text.lower() not in ("true", "false", "1", "0"):
        raise ValueError(text)
    return text.lower() in ("true", "1")


def main(words: Sequence[str] | None = None) -> None:
    """Serves until SIGTERM or Ctrl-C, which end it with 0.

    Raises:
        ConfigError: there is nothing to serve, or a port is taken.
    """
    arguments = parser().parse_args(words)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    if arguments.until_stdin_closes:
        threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    logging.set_verbosity(logging.INFO)
    log = None
    if arguments.request_log:
        log = RequestLog(arguments.request_log, share=arguments.request_log_share)
        log.prepare()
    models = Models(
        _config(arguments),
        retries=arguments.max_num_load_retries,
        retry_seconds=arguments.load_retry_interval_micros / 1e6,
        log=log,
        batching=_batching(arguments),
    )
    models.refresh()
    try:
        by_grpc, port = grpc_api.start(models, arguments.host, arguments.port)
        by_rest = rest.start(
            models, arguments.host, arguments.rest_api_port, cors=arguments.enable_cors_support
        )
    except (OSError, RuntimeError) as error:
        raise ConfigError(
            f"expected to listen at {arguments.host}, ports {arguments.port} and "
            f"{arguments.rest_api_port}; got {error}; to fix, give other ports"
        ) from error
    logging.info("Running gRPC ModelServer at %s:%d ...", arguments.host, port)
    logging.info("Exporting HTTP/REST API at:%s:%d ...", arguments.host, by_rest.server_address[1])
    while not ended.wait(arguments.file_system_poll_wait_seconds):
        try:
            if arguments.model_config_file and arguments.model_config_file_poll_wait_seconds:
                models.configure(read_config(arguments.model_config_file))
            models.refresh()
        except Exception:
            # What is served goes on being served; the next look may find a whole file again.
            logging.exception("Looking for versions failed")
    by_rest.shutdown()
    by_grpc.stop(_GRACE_SECONDS).wait()
    if log is not None:
        log.close()


def _batching(arguments: argparse.Namespace) -> Batching | None:
    file, per_model = (
        arguments.batching_parameters_file,
        arguments.enable_per_model_batching_parameters,
    )
    if not arguments.enable_batching:
        if file or per_model:
            raise ConfigError(
                "expected --enable_batching with --batching_parameters_file and "
                "--enable_per_model_batching_parameters; got none; to fix, give it, too"
            )
        return None
    try:
        parameters = batching.read(file) if file else Parameters(threads=os.cpu_count() or 1)
    except Refusal as refusal:
        raise ConfigError(
            f"expected sizes in {file} that fit each other; got: {refusal}; to fix, correct them"
        ) from refusal
    return Batching(parameters=parameters, per_model=per_model)


def _config(arguments: argparse.Namespace) -> ModelServerConfig:
    if arguments.model_config_file:
        return read_config(arguments.model_config_file)
    if not arguments.model_base_path:
        raise ConfigError(
            "expected --model_base_path or --model_config_file; got neither; to fix, give one"
        )
    config = ModelServerConfig()
    config.model_config_list.config.append(
        ModelConfig(
            name=arguments.model_name,
            base_path=arguments.model_base_path,
            model_platform="tensorflow",
        )
    )
    return config


if __name__ == "__main__":
    with exit_codes(consoles.terminal(sys.stderr)):
        main()
