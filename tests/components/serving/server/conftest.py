"""A model that any server loads in no time, and a server of it over real sockets."""

import contextlib
import os
import socket

import pytest
import tensorflow as tf

from components.serving.server import launch


class Doubling(tf.Module):
    """Texts twice over, and a signature with two inputs of other types."""

    def __init__(self, factor: float = 2.0):
        super().__init__()
        self.factor = tf.Variable(factor)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")])
    def serve(self, image_bytes):
        return {
            "mask_bytes": tf.strings.join([image_bytes, image_bytes]),
            "error": tf.where(image_bytes == "bad", "expected something else", ""),
            "size": self.factor * tf.cast(tf.strings.length(image_bytes), tf.float32),
        }

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, 2], tf.float32, name="x"),
            tf.TensorSpec([], tf.int64, name="y"),
        ]
    )
    def scale(self, x, y):
        return {"z": self.factor * x + tf.cast(y, tf.float32)}

    def save(self, folder) -> str:
        signatures = {"serving_default": self.serve, "scale": self.scale}
        tf.saved_model.save(self, str(folder), signatures=signatures)
        return str(folder)


@pytest.fixture(scope="session")
def doubling(tmp_path_factory) -> str:
    return Doubling().save(tmp_path_factory.mktemp("doubling") / "model")


@pytest.fixture(scope="session")
def tripling(tmp_path_factory) -> str:
    return Doubling(3.0).save(tmp_path_factory.mktemp("tripling") / "model")


@contextlib.contextmanager
def stand_in(base_path, model="m"):
    """A server of a folder of versions, that has loaded one."""
    log = base_path.parent / f"{base_path.name}.log"
    with launch.running(str(base_path), model, program=None, log=log) as server:
        server.wait_until_available(60)
        yield server


@pytest.fixture(scope="module")
def server(doubling, tmp_path_factory):
    base_path = tmp_path_factory.mktemp("served")
    os.symlink(doubling, base_path / "7")
    with stand_in(base_path) as server:
        yield server


def say(server, data: bytes) -> bytes:
    """All that a server answers to bytes on its REST port, until it closes the connection."""
    with socket.create_connection((server.host, server.rest_port), timeout=30) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while part := connection.recv(65536):
                answer += part
        return answer
