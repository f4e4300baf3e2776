"""Requests that are joined are answered as they would be alone, and refused as a server does."""

import concurrent.futures
import random
import threading

import grpc
import numpy as np
import pytest

from components.errors import ConfigError
from components.serving import batching as written
from components.serving.client import Client
from components.serving.server import __main__ as server_main
from components.serving.server import batching, launch
from components.serving.server.batching import Batching, Joined, Parameters
from components.serving.server.loader import SavedModel
from components.serving.server.statuses import Refusal
from components.serving.tensors import strings

pytestmark = pytest.mark.slow


class Counting:
    """A model that notes how many rows each run has, and computes when it is let."""

    def __init__(self, folder: str):
        self._model = SavedModel(folder)
        self.signatures = self._model.signatures
        self.runs, self.may_run = [], threading.Event()
        self.may_run.set()

    def run(self, signature, inputs, outputs):
        self.may_run.wait(60)
        self.runs.append(len(next(iter(inputs.values()))))
        return self._model.run(signature, inputs, outputs)


@pytest.fixture
def model(doubling) -> Counting:
    return Counting(doubling)


def ask(model, values: list[bytes], outputs=("error", "mask_bytes", "size")):
    signature = model.signatures["serving_default"]
    return model.run(signature, {"image_bytes": strings(values)}, list(outputs))


def at_once(joined: Joined, requests: list[list[bytes]]) -> list:
    """Answers, or refusals, of requests from as many threads."""

    def one(values):
        try:
            return ask(joined, values)
        except Refusal as refusal:
            return refusal

    with concurrent.futures.ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(one, requests))


@pytest.mark.parametrize("seed", range(6))
def test_each_gets_its_own_answer(model, seed):
    chance = random.Random(seed)
    parameters = Parameters(
        max_batch_size=8,
        timeout_seconds=chance.choice((0.0, 0.002, 0.02)),
        max_enqueued_batches=100,
        threads=chance.randint(1, 3),
        allowed_batch_sizes=chance.choice(((), (1, 3, 8), (8,))),
    )
    requests = [
        [chance.randbytes(chance.randint(1, 9)) for _ in range(chance.randint(1, 8))]
        for _ in range(40)
    ]
    joined = Joined(model, parameters)
    for values, answer in zip(requests, at_once(joined, requests), strict=True):
        alone = ask(model, values)
        assert answer.keys() == alone.keys()
        for name, array in alone.items():
            np.testing.assert_array_equal(answer[name], array)
            assert answer[name].dtype == array.dtype
    joined_runs = model.runs[: -len(requests)]
    assert max(joined_runs) <= 8
    if parameters.allowed_batch_sizes:
        assert set(joined_runs) <= set(parameters.allowed_batch_sizes)


def test_many_are_one_run_that_is_filled_up(model):
    joined = Joined(model, Parameters(max_batch_size=16, timeout_seconds=5))
    full = at_once(joined, [[b"a"]] * 16)
    assert model.runs == [16] and len(full) == 16
    filled = Joined(
        model,
        Parameters(max_batch_size=16, timeout_seconds=0.2, allowed_batch_sizes=(1, 16)),
    )
    at_once(filled, [[b"a"], [b"b"]])
    assert model.runs[1:] in ([16], [1, 1])


def test_some_outputs_alone_are_not_joined(model):
    joined = Joined(model, Parameters(max_batch_size=1, timeout_seconds=60))
    assert ask(joined, [b"a", b"b"], outputs=["size"]).keys() == {"size"}


def test_more_than_a_batch_holds_is_refused(model):
    with pytest.raises(Refusal, match="Task size 3 is larger than maximum input batch size 2"):
        ask(Joined(model, Parameters(max_batch_size=2)), [b"a"] * 3)


def test_inputs_without_a_common_first_dimension_are_refused(model):
    inputs = {"x": np.zeros((2, 2), np.float32), "y": np.array(3)}
    with pytest.raises(Refusal, match="must have equal 0th-dimension size"):
        Joined(model, Parameters()).run(model.signatures["scale"], inputs, ["z"])


def test_too_many_that_wait_are_refused_at_once_and_the_others_answered(model):
    parameters = Parameters(max_batch_size=1, max_enqueued_batches=2, threads=1)
    joined = Joined(model, parameters)
    model.may_run.clear()
    threading.Timer(1, model.may_run.set).start()
    found = at_once(joined, [[b"a"]] * 8)
    refused = [each for each in found if isinstance(each, Refusal)]
    assert {each.code for each in refused} == {grpc.StatusCode.UNAVAILABLE}
    # One is computed, two wait.
    assert len(refused) == 5


def test_what_fails_fails_all_that_were_joined(model):
    joined = Joined(model, Parameters(max_batch_size=2, timeout_seconds=5))
    signature = model.signatures["serving_default"]
    inputs = [strings([b"a"]), np.array([[b"a", b"b"]], object)]

    def one(array):
        with pytest.raises(Refusal, match="'image_bytes' from different tasks have different"):
            joined.run(signature, {"image_bytes": array}, ["error", "mask_bytes", "size"])

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(one, inputs))


# === Parameters ===


def test_a_version_says_itself_how_it_is_joined(model, doubling, tmp_path):
    per_model = Batching(parameters=Parameters(threads=3), per_model=True)
    assert per_model.of(model, str(tmp_path)) is model
    (tmp_path / written.FILE).write_text(written.parameters((1, 4), 5000))
    found = per_model.of(model, str(tmp_path))
    assert found._parameters == Parameters(
        max_batch_size=4,
        timeout_seconds=0.005,
        max_enqueued_batches=64,
        threads=3,
        allowed_batch_sizes=(1, 4),
    )
    (tmp_path / written.FILE).write_text("no parameters")
    with pytest.raises(Refusal, match="expected BatchingParameters of TensorFlow Serving"):
        per_model.of(model, str(tmp_path))


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("allowed_batch_sizes: 4\nallowed_batch_sizes: 2", Refusal, "monotonically increasing"),
        ("max_batch_size { value: 8 }\nallowed_batch_sizes: 4", Refusal, "was 4; expected 8"),
        ("pad_variable_length_inputs: true", ConfigError, "without pad_variable_length_inputs"),
        ("enable_large_batch_splitting { value: true }", ConfigError, "without enable_large"),
        ("max_batch_sice { value: 8 }", ConfigError, "expected BatchingParameters"),
    ],
)
def test_parameters_that_are_none_are_refused(text, kind, message, tmp_path):
    (tmp_path / "p").write_text(text)
    with pytest.raises(kind, match=message):
        batching.read(tmp_path / "p")


@pytest.mark.parametrize(
    "words",
    [
        ["--enable_per_model_batching_parameters"],
        ["--batching_parameters_file=/nowhere"],
        ["--enable_batching", "--batching_parameters_file=/nowhere"],
    ],
)
def test_flags_that_contradict_each_other_are_refused(words, doubling):
    with pytest.raises(ConfigError, match="to fix"):
        server_main.main(["--model_base_path", doubling, "--port=0", "--rest_api_port=0", *words])


def test_a_server_joins_what_many_clients_ask(doubling, tmp_path):
    served = tmp_path / "served"
    served.mkdir()
    (served / "1").symlink_to(doubling)
    (tmp_path / "p").write_text("batch_timeout_micros { value: 2000 }\nmax_batch_size { value: 8 }")
    flags = ["--enable_batching=true", f"--batching_parameters_file={tmp_path / 'p'}"]
    with launch.running(
        str(served), "m", program=None, log=tmp_path / "log", flags=flags
    ) as server:
        server.wait_until_available(60)
        clients = [Client(a, "m") for a in (server.grpc_address, server.rest_address)]

        def one(number: int) -> None:
            picture = b"%d" % number
            (answer,) = clients[number % 2].segment([picture])
            assert answer.mask == picture * 2 and answer.outputs["size"] == 2 * len(picture)

        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            list(pool.map(one, range(200)))
