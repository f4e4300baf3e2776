"""How commands end that are ended from outside, and on what terminals: real processes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from components import entry
from tests.components.dataset.building import corpus
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.slow

ASCII = {
    "PYTHONIOENCODING": {"PYTHONIOENCODING": "ascii"},
    "locale": {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
}
"""Ways in which a terminal knows no more than ASCII."""

LINES = {
    signal.SIGINT: "Interrupted. The same command goes on where it was.",
    signal.SIGTERM: "Terminated. The same command goes on where it was.",
}


def start(*words: object, **variables: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, *map(str, words)],
        cwd=REPOSITORY, env=os.environ | variables, text=True, errors="replace",
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def finish(*words: object, **variables: str) -> tuple[int, str]:
    process = start(*words, **variables)
    said, more = process.communicate()
    return process.returncode, said + more


def wait_until_ready(process: subprocess.Popen) -> None:
    """Until the process handles SIGTERM, which Python itself does not."""
    while True:
        status = Path(f"/proc/{process.pid}/status").read_text()
        (caught,) = (line.split()[1] for line in status.splitlines() if "SigCgt" in line)
        if int(caught, 16) >> (signal.SIGTERM - 1) & 1:
            return
        assert process.poll() is None
        time.sleep(0.001)


@pytest.fixture
def pascal(tmp_path) -> Path:
    """A PASCAL VOC of three pictures, with names that ASCII lacks."""
    root = tmp_path / "VOCdevkit" / "VOC2012"
    names = ["fünf", "日本", "drei"]
    for name in names:
        corpus.write(root, f"JPEGImages/{name}.jpg", corpus.jpeg())
        corpus.write(root, f"SegmentationClass/{name}.png", corpus.mask_file(corpus.LABEL_HW))
    for split, chosen in (("train", names[:2]), ("val", names[2:])):
        lines = "\n".join(chosen).encode()
        corpus.write(root, f"ImageSets/Segmentation/{split}.txt", lines)
    return root


# === Terminals ===


@pytest.mark.parametrize("way", ASCII)
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("-m", "pipeline", "doctor", "--output", "{tmp}/ö"), 0, r"\xf6"),
        (("-m", "pipeline", "run", "--dataset", "日本"), 2, r"\u65e5\u672c"),
        (("local_runner.py", "--help"), 0, "span-2/, ..."),
        (("kubeflow_runner.py", "--pipeline-root", "ö"), 2, "expected root"),
        (("-m", "components.dataset", "inspect", "pascal", "--records", "{tmp}/ö"), 3, r"\xf6"),
        (("-m", "components.dataset", "build", "nö"), 2, "expected a data set"),
    ],
)
def test_a_terminal_without_other_letters_gets_the_same_in_these(tmp_path, way, words, code, said):
    words = [word.format(tmp=tmp_path) for word in words]
    done, text = finish(*words, COLUMNS="300", **ASCII[way])  # Long paths are cut in a table.
    assert done == code, text
    assert "Traceback" not in text and text.isascii()
    # Where Python reads the command line as ASCII, too, it knows bytes only.
    assert said in text or (way == "locale" and r"\udc" in text), text


@pytest.mark.slow
@pytest.mark.parametrize("way", ASCII)
def test_findings_keep_their_exit_code_on_such_a_terminal(pascal, tmp_path, way):
    (pascal / "JPEGImages" / "fünf.jpg").write_bytes(b"no picture")
    words = ("build", "pascal", "--source", pascal, "--output", tmp_path / "out" / "récords")
    done, text = finish("-m", "components.dataset", *words, **ASCII[way])
    assert done == 3, text
    assert "Bad data" in text and "Traceback" not in text and "UnicodeEncodeError" not in text


def test_characters_are_spelt_and_never_fail():
    assert "a – b … 3×4".encode("ascii", entry.ERRORS) == b"a - b ... 3x4"
    assert "ö\udcff日".encode("ascii", entry.ERRORS) == b"\\xf6\\udcff\\u65e5"
    assert "ö\udcff".encode("utf-8", entry.ERRORS) == "ö\\udcff".encode()


def test_closed_standard_files_are_no_fault():
    done = subprocess.run(
        f"exec {sys.executable} -m pipeline doctor >&- 2>&- <&-", shell=True, cwd=REPOSITORY
    )
    assert done.returncode == 0


# === Signals ===


@pytest.mark.parametrize("number", LINES)
@pytest.mark.parametrize("seconds", [0.0, 0.05, 0.15, 0.3])
@pytest.mark.parametrize(
    "words",
    [
        ("local_runner.py", "--output", "{tmp}/out"),
        ("-m", "components.dataset", "build", "pascal", "--source", "{tmp}", "--output", "{tmp}/a"),
    ],
)
def test_a_signal_while_packages_are_imported_is_one_line(tmp_path, words, seconds, number):
    process = start(*(word.format(tmp=tmp_path) for word in words))
    wait_until_ready(process)
    time.sleep(seconds)
    if process.poll() is None:
        process.send_signal(number)
    said, more = process.communicate()
    # Words that are wrong may be said before the signal arrives, which may then meet Python ending.
    if "Bad data" in said:
        assert process.returncode in (3, -number, 128 + number)
    else:
        assert process.returncode == 128 + number, said + more
        assert more.splitlines()[-1] == LINES[number]
    assert "Traceback" not in said + more


@pytest.mark.slow
@pytest.mark.parametrize("number", LINES)
def test_a_signal_while_records_are_built_leaves_nothing_half(pascal, tmp_path, number):
    # Whoever opens this waits for a writer, who never comes.
    picture = pascal / "JPEGImages" / "日本.jpg"
    picture.unlink()
    os.mkfifo(picture)
    output = tmp_path / "out" / "records"
    process = start(
        *("-m", "components.dataset", "build", "pascal", "--source", pascal, "--output", output)
    )
    while not list(output.parent.glob(".records.*")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(number)
    said, more = process.communicate()
    assert process.returncode == 128 + number, said + more
    assert more.splitlines()[-1] == LINES[number]
    assert "Traceback" not in said + more and not output.exists()

    picture.unlink()
    picture.write_bytes(corpus.encode(corpus.IMAGE, "PNG"))
    done, text = finish(
        *("-m", "components.dataset", "build", "pascal", "--source", pascal, "--output", output)
    )
    assert done == 0, text
    assert [path.name for path in output.parent.iterdir()] == [output.name]


SWALLOWS = """
import sys, time
from components import entry
with entry.command():
    entry._GRACE_SECONDS = 0.5
    print("ready", flush=True)
    while True:
        try:
            time.sleep(60)
        except KeyboardInterrupt:
            pass
"""
WRAPS = """
import time
from rich.console import Console
from components import entry
from components.errors import PipelineError, exit_codes
with entry.command(), exit_codes(Console()):
    print("ready", flush=True)
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        raise {}("a library's own words")
"""
WAITS = """
import threading, time
from components import entry
with entry.command():
    threading.Thread(target=time.sleep, args=(60,)).start()
    print("ready", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("number", LINES)
@pytest.mark.parametrize(
    "script", [SWALLOWS, WRAPS.format("RuntimeError"), WRAPS.format("PipelineError"), WAITS]
)
def test_what_libraries_do_with_a_signal_changes_nothing(script, number):
    process = start("-c", script)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    said, more = process.communicate()
    assert (process.returncode, said, more) == (128 + number, "", LINES[number] + "\n")


IN_A_CALLBACK = """
import gc, time
from components import entry
with entry.command():
    def callback(phase, info):
        gc.callbacks.remove(callback)
        print("ready", flush=True)
        time.sleep(60)
    gc.callbacks.append(callback)
    gc.collect()
    time.sleep(600)
"""


@pytest.mark.parametrize("number", LINES)
def test_a_signal_that_arrives_in_a_callback_is_not_lost(number):
    process = start("-c", IN_A_CALLBACK.replace("entry.command():", "entry.command():\n" + NEVER))
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    said, more = process.communicate()
    assert (process.returncode, said, more) == (128 + number, "", LINES[number] + "\n")


NEVER = "    entry._GRACE_SECONDS = 6000"


def test_asked_twice_it_ends_at_once():
    process = start("-c", SWALLOWS.replace("= 0.5", "= 600"))
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    while process.poll() is None:
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
    assert process.returncode == 130


def test_a_signal_that_the_caller_wants_ignored_is_ignored():
    """As with nohup, and with & in a shell's script."""
    script = "import os, signal\nfrom components import entry\n"
    script += "with entry.command():\n    os.kill(os.getpid(), signal.SIGINT)\n    print('lives')"
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=REPOSITORY, stdout=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )  # fmt: skip
    assert process.communicate()[0] == "lives\n" and process.returncode == 0


# === Pipes ===


@pytest.mark.parametrize(
    "words",
    [
        ("-m", "pipeline", "doctor", "--output", "{tmp}"),
        ("-m", "pipeline", "run", "--dataset", "coco"),
        ("-m", "components.dataset", "build", "coco"),
        ("-m", "components.dataset", "inspect", "pascal"),
        ("local_runner.py", "--dry-run", "--output", "{tmp}"),
    ],
    ids=" ".join,
)
def test_a_reader_that_goes_away_ends_it_quietly(tmp_path, words):
    process = start(*(word.format(tmp=tmp_path) for word in words))
    process.stdout.close()
    more = process.stderr.read()
    assert process.wait() == 128 + signal.SIGPIPE, more
    assert more == ""


def test_help_is_cut_without_a_word(tmp_path):
    """Python's parser takes no notice of a closed pipe where output is not buffered."""
    process = start("local_runner.py", "--help")
    process.stdout.close()
    assert process.stderr.read() == "" and process.wait() in (0, 128 + signal.SIGPIPE)


CONVERSING = """
import threading
from components import consoles, entry
with entry.command():
    console = consoles.terminal()
    thread = threading.Thread(target=lambda: [console.print("word") for _ in range(100000)])
    thread.start()
    thread.join()
"""


def test_also_where_another_thread_prints():
    process = start("-c", CONVERSING)
    process.stdout.close()
    assert process.stderr.read() == "" and process.wait() == 128 + signal.SIGPIPE
