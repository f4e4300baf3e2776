"""Every command that the project documents or prints is one that it takes.

Those that compute for minutes are given to the real parsers and their values to the real
configuration; the others are run. A command that nothing here can check fails.
"""

import ast
import importlib.util
import json
import re
import shlex
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.dataset import commands as dataset_commands
from components.serving.server import __main__ as server
from pipeline import commands, summary
from pipeline.commands import arguments as shared
from tests.conftest import REPOSITORY

PROGRAMS = ("python", "make", "pip", "source", "mkdir", "cp", "tensorboard", "deeplab-pipeline")
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.S | re.M)
INLINE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
OPTIONS = r"(?: --?[\w-]+(?:[ =][\w/.'={}*-]+)?)*"
PRINTED = re.compile(
    rf"python -m (?:pipeline|components\.dataset) [a-z]+"
    rf"(?: fields| pascal| ade20k| Pusher| copy \S+ \S+)?"
    rf"(?: picture\.jpg)?{OPTIONS}"
    rf"|python local_runner\.py{OPTIONS}|(?<=run )make [a-z]+"
)
STARTED = ("pipeline.trial", "pipeline.kubeflow.step", "tests.corpus")
"""Programs that others start, and no person."""
PLACEHOLDERS = {"VERB": "doctor", "FILE": "/f", "NAME": "fields", "DIR": "/d", "N": "1"}


# === Where commands stand ===


def pages() -> list[Path]:
    return sorted(
        path
        for path in REPOSITORY.rglob("*.md")
        if not any(part.startswith(".") for part in path.relative_to(REPOSITORY).parts)
    )


def documented() -> Iterator[str]:
    """The lines of shell blocks, and code within sentences that starts with a program."""
    for page in pages():
        text = page.read_text()
        for language, block in FENCE.findall(text):
            if language in ("", "sh", "bash"):
                yield from re.sub(r"\\\n\s*", "", block).splitlines()
        for code in INLINE.findall(FENCE.sub("", text)):
            yield " ".join(code.split())


def texts_of_code() -> Iterator[str]:
    """All texts of the sources, as a person gets to see them."""
    for package in ("components", "pipeline", "models", "schemas"):
        for path in (REPOSITORY / package).rglob("*.py"):
            yield from texts_in(ast.parse(path.read_text()))


def texts_in(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.JoinedStr):
        yield "".join(p.value if isinstance(p, ast.Constant) else "fields" for p in node.values)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    else:
        for child in ast.iter_child_nodes(node):
            yield from texts_in(child)


def all_commands() -> list[str]:
    found = {
        part.strip()
        for line in documented()
        for part in line.split("; ")
        if part.split(None, 1)[:1] and part.split(None, 1)[0] in PROGRAMS and " " in part.strip()
    }
    for text in texts_of_code():
        for code in INLINE.findall(text):
            # Without a verb it names the program.
            if code.startswith("python ") and not code.endswith("components.dataset"):
                found.add(" ".join(code.split()))
        found |= {hit.strip() for hit in PRINTED.findall(" ".join(text.split()))}
    return sorted(found)


# === How each is checked ===


def check(words: list[str]) -> None:
    """Raises, or ends by the parser's exit, where a command is not one.

    Raises:
        LookupError: there is no way to check it.
    """
    match words:
        case ["python", "local_runner.py", *rest] | ["local_runner.py", *rest]:
            load(commands.parser_of("run", "local_runner.py").parse_args(rest))
        case ["python", "kubeflow_runner.py", *rest]:
            load(commands.parser_of("compile", "kubeflow_runner.py").parse_args(rest))
        case ["python", "-m", "pipeline", *rest] | ["deeplab-pipeline", *rest]:
            arguments = commands.parser().parse_args(rest)
            if arguments.verb in ("run", "compile"):
                load(arguments)
        case ["python", "-m", "components.serving.server", *rest]:
            server.parser().parse_args(rest)
        case ["python", "-m", "components.dataset", *rest]:
            dataset_commands.parser().parse_args(rest)
        case ["python", "-m", module, *rest] if module.startswith("benchmarks."):
            source = (REPOSITORY / f"{module.replace('.', '/')}.py").read_text()
            missing = [w for w in rest if w.startswith("--") and f'"{w}"' not in source]
            assert not missing, f"{module} has no {missing}"
        case ["python", "-m", "pytest", path]:
            assert (REPOSITORY / path).exists()
        case ["python", "-m", module, *_] if module in STARTED:
            assert importlib.util.find_spec(module)  # Run by the tests beside them.
        case ["make", target, *_]:
            makefile = (REPOSITORY / "Makefile").read_text()
            assert re.search(rf"^{re.escape(target)}:", makefile, re.M), target
            if target != "setup":  # What it depends on is said by every other.
                subprocess.run(["make", "-n", target], cwd=REPOSITORY, check=True)
        case ["source", ".venv/bin/activate"]:
            assert "-m venv $(VENV)" in (REPOSITORY / "Makefile").read_text()
        case ["pip", "install", "."]:
            assert (REPOSITORY / "setup.py").exists()  # Run in test_installation.py.
        case ["mkdir" | "cp", *_]:
            pass  # Run in their order by test_the_files_of_the_readme_can_be_made.
        case _:
            raise LookupError(f"no way to check {shlex.join(words)}")


def load(arguments) -> None:
    """Takes every value as the verb does."""
    if arguments.verb == "compile":
        shared.load(arguments, root=arguments.pipeline_root, image=arguments.image)
    else:
        shared.load(arguments, root=arguments.output)


def words_of(command: str) -> list[str]:
    return [PLACEHOLDERS.get(word, word) for word in shlex.split(command, comments=True)]


@pytest.mark.parametrize("command", all_commands())
def test_a_documented_or_printed_command_is_one(command):
    check(words_of(command))


def test_they_are_found_where_they_stand():
    found = all_commands()
    for known in (
        "mkdir descriptions",
        "cp -r schemas/sample descriptions/fields",
        "python local_runner.py --to-node Transform",
        "python -m components.dataset inspect pascal",
        "python -m pipeline VERB",
        "make demo",
    ):
        assert any(command.startswith(known) for command in found), known
    assert len(found) > 35


@pytest.mark.parametrize(
    "command",
    [
        "python local_runner.py --datset pascal",
        "python local_runner.py --set training.stepz=1",
        "python -m pipeline tensorbord /d",
        "python -m components.dataset build",
        "python -m benchmarks.finetuning --no-such",
        "make dmeo",
        "tensorboard --logdir /d",
        "python setup.py install",
    ],
)
def test_a_wrong_one_is_noticed(command):
    with pytest.raises((SystemExit, Exception)):
        check(words_of(command))


def test_values_that_messages_advise_are_values_of_the_configuration():
    advised = {
        path
        for text in texts_of_code()
        for path in re.findall(r"--set '?([a-z_]+(?:\.[a-z_]+)*)=", text)
    }
    assert {"gate.on_drift", "gate.accept", "name"} <= advised
    for path in advised:
        parser = commands.parser_of("run", "local_runner.py")
        arguments = parser.parse_args(["--set", f"{path}=pancake"])
        with pytest.raises(Exception) as caught:
            shared.load(arguments, root="/d")
            raise RuntimeError("it was taken")
        assert f"use {path}" not in str(caught.value) and "no option" not in str(caught.value)


def test_the_files_of_the_readme_can_be_made(tmp_path):
    lines = [part for part in all_commands() if part.startswith(("mkdir", "cp"))]
    shutil.copytree(REPOSITORY / "schemas", tmp_path / "schemas")
    assert lines
    for line in sorted(lines, reverse=True):  # mkdir, then cp
        subprocess.run(shlex.split(line), cwd=tmp_path, check=True)
    assert (tmp_path / "descriptions" / "fields" / "dataset.toml").exists()
    ignored = subprocess.run(
        ["git", "check-ignore", "descriptions/x", "spans/x", "data/x", "output/x", "fields/x"],
        cwd=REPOSITORY, capture_output=True, text=True,
    )  # fmt: skip
    assert len(ignored.stdout.split()) == 5


@pytest.mark.slow
def test_the_printed_tensorboard_command_shows_the_curves(tmp_path):
    import tensorflow as tf

    folder = tmp_path / "a folder"
    with tf.summary.create_file_writer(str(folder / "train")).as_default(step=3):
        tf.summary.scalar("loss", 0.5)
    program, *words = shlex.split(summary.tensorboard_command(str(folder)))
    assert program == "python"
    process = subprocess.Popen(
        [sys.executable, *words, "--port", "0"],
        cwd=REPOSITORY, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        (address,) = re.findall(r"TensorBoard is at (http://\S+)", process.stdout.readline())
        with urllib.request.urlopen(f"{address}data/plugin/scalars/tags") as answer:
            assert json.load(answer) == {"train": {"loss": {"displayName": "", "description": ""}}}
        with urllib.request.urlopen(
            f"{address}data/plugin/scalars/scalars?run=train&tag=loss"
        ) as a:
            assert [point[1:] for point in json.load(a)] == [[3, 0.5]]
    finally:
        process.terminate()
    assert process.wait() == 143
