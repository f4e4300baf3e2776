"""One run at a time in one place, by real processes; however the first one ends, the next goes."""

import os
import re
import signal
import socket
import subprocess
import sys

import pytest

from components.errors import ConfigError
from components.storage import locks
from tests.conftest import REPOSITORY

HOLD = """
import os, pathlib, subprocess, sys
from components.storage import locks
with locks.only_run("output", pathlib.Path(sys.argv[1])):
    children = []
    if "child" in sys.argv:
        child = subprocess.Popen(["sleep", "60"], close_fds=False)
        children.append(child.pid)
    if "fork" in sys.argv:
        ready, lives = os.pipe()
        pid = os.fork()
        if not pid:
            os.write(lives, b"x")
            while True:
                os.read(0, 1)
        os.read(ready, 1)
        children.append(pid)
    print(*children, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def hold(tmp_path):
    """Starts a process that holds the lock; gives it and its children's numbers."""
    lock, started, born = tmp_path / "output" / ".run.lock", [], []

    def start(*words: str):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(lock), *words],
            cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(process)
        born.extend(map(int, process.stdout.readline().split()))
        return process, lock, born

    yield start
    for process in started:
        process.kill()
        process.wait()
    for child in born:
        os.kill(child, signal.SIGKILL)


def test_the_second_is_refused_and_told_who_is_first(hold):
    process, lock, _ = hold()
    with (
        pytest.raises(ConfigError, match="expected one run at a time in the output; got") as caught,
        locks.only_run("the output", lock),
    ):
        pass
    said = str(caught.value)
    assert f"process {process.pid} on {socket.gethostname()} since 20" in said
    assert re.search(r"since [\d-]{10} [\d:]{8}: .*import os, pathlib", said, re.S)
    process.communicate("")
    with locks.only_run("the output", lock):
        assert f"process {os.getpid()} " in lock.read_text()


@pytest.mark.parametrize("words", [(), ("child",), ("fork",), ("child", "fork")], ids=" ".join)
def test_a_killed_one_leaves_no_lock_though_its_children_live(hold, words):
    process, lock, children = hold(*words)
    process.send_signal(signal.SIGKILL)
    process.wait()
    with locks.only_run("the output", lock):
        for child in children:
            os.kill(child, 0)  # It lives.
    assert len(children) == len(words)


def test_a_place_can_be_taken_again_and_two_places_at_once(tmp_path):
    for _ in range(2):
        with locks.only_run("a", tmp_path / "a"), locks.only_run("b", tmp_path / "b"):
            pass
    with (
        locks.only_run("a", tmp_path / "a"),
        pytest.raises(ConfigError, match="at a time in a;"),
        locks.only_run("a", tmp_path / "a"),
    ):
        pass
