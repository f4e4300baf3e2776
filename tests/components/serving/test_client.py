"""The client against real servers, and such that misbehave; without TensorFlow in its process."""

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest

from components.errors import AnswerError, ConfigError
from components.serving.client import Client
from tests.components.serving.server.conftest import doubling, server  # noqa: F401 - fixtures
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.slow


@pytest.fixture(params=["http", "grpc"])
def client(request, server):  # noqa: F811
    addresses = {"http": server.rest_address, "grpc": server.grpc_address}
    return Client(addresses[request.param], "m", attempts=2)


def test_any_bytes_come_back_in_their_order(client):
    chance = np.random.default_rng(2)
    pictures = [chance.bytes(n) for n in (0, 1, 255, 70_000)] + [b"bad", b"\0\xff{}"]
    answers = client.segment(pictures)
    assert [answer.mask for answer in answers] == [2 * picture for picture in pictures]
    assert [answer.error for answer in answers] == [*[""] * 4, "expected something else", ""]
    assert answers[1].outputs["size"] == 2
    assert client.segment([]) == []


def test_more_than_four_mebibytes_in_both_directions(client):
    (answer,) = client.segment([b"x" * 6_000_000])
    assert len(answer.mask) == 12_000_000


def test_other_signatures_and_types(client):
    inputs = {"x": np.array([[1, 2]], np.float32), "y": np.array(3)}
    (found,) = client.predict(inputs, "scale").values()
    np.testing.assert_array_equal(found, [[5, 7]])


def test_a_version_is_asked_by_its_number_or_label(client):
    client.version = 7
    assert client.segment([b"a"])[0].mask == b"aa"
    client.version = 8
    with pytest.raises(AnswerError, match=r"(404|NOT_FOUND), .*Specific\(m, 8\)"):
        client.segment([b"a"])
    client.version = "new"
    with pytest.raises(AnswerError, match=r"(400|INVALID_ARGUMENT), .*version label: new"):
        client.segment([b"a"])


def test_a_refusal_is_told_and_not_asked_again(client):
    with pytest.raises(AnswerError, match=r"expected an answer of m .*; to fix, see"):
        client.predict({"wrong": [b"a"]})
    client.model = "x/y:z"
    with pytest.raises(AnswerError, match=r"(404|NOT_FOUND), .*Latest\(x/y:z\)"):
        client.segment([b"a"])


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_nobody_there(scheme):
    with pytest.raises(AnswerError, match="after 2 attempts; to fix, start one with `python -m"):
        Client(f"{scheme}://localhost:1", attempts=2).segment([b"a"])


@pytest.mark.parametrize(
    "address", ["", "localhost", "localhost:8500", "ftp://x", "grpc://x", "http://", "http://[x"]
)
def test_an_address_that_is_none_is_refused(address):
    with pytest.raises(ConfigError, match="expected an address as http://host:port or grpc"):
        Client(address)


def test_a_proxy_of_the_environment_is_not_for_this_machine(client, monkeypatch):
    for name in ("http_proxy", "grpc_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://localhost:1")
    address = f"{client._scheme}://{client._target}"
    assert Client(address, "m", attempts=1).segment([b"a"])[0].mask == b"aa"


class Misbehaving(BaseHTTPRequestHandler):
    """Answers by a list of statuses and bodies, one for each request."""

    answers: tuple[tuple[int, bytes], ...]

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        status, body = self.server.answers.pop(0)
        if not status:  # Hangs up.
            return
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *values):
        pass


@pytest.fixture
def misbehaving():
    with HTTPServer(("localhost", 0), Misbehaving) as server:  # noqa: F811
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


GOOD = json.dumps({"outputs": {"mask_bytes": [{"b64": "YQ=="}], "error": [""]}}).encode()


def test_who_is_not_ready_is_asked_again(misbehaving):
    misbehaving.answers = [(503, b'{"error": "loading"}'), (0, b""), (503, b""), (200, GOOD)]
    (answer,) = Client(f"http://localhost:{misbehaving.server_port}").segment([b"x"])
    assert answer.mask == b"a" and misbehaving.answers == []


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b""),
        (200, b"<html>"),
        (200, b"[]"),
        (200, b'{"predictions": []}'),
        (200, b'{"outputs": {"mask_bytes": [{"b64": "?"}], "error": [""]}}'),
        (200, b'{"outputs": {"mask_bytes": [{"c": 1}], "error": [""]}}'),
        (200, b'{"outputs": {"mask_bytes": 3, "error": 4}}'),
        (200, b'{"outputs": {"mask_bytes": [1], "error": [2]}}'),
        (200, b'{"outputs": [1]}'),
        (500, b"<html>"),
        (400, b'{"error": "no"}'),
        (302, b""),
    ],
)
def test_what_is_no_answer_is_an_error(misbehaving, status, body):
    misbehaving.answers = [(status, body)]
    with pytest.raises(AnswerError, match=r"expected .*; got .*; to fix"):
        Client(f"http://localhost:{misbehaving.server_port}").segment([b"x"])


def test_it_takes_no_tensorflow(server):  # noqa: F811
    code = f"""
import sys
from components.serving.client import Client
for address in {server.rest_address!r}, {server.grpc_address!r}:
    (answer,) = Client(address, "m").segment([b"a"])
    assert answer.mask == b"aa"
assert not {{"tensorflow", "keras", "tfx"}} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=True)
