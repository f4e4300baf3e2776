"""Whether what the containers start can be imported where the image has this installation.

Modules are found and not run: their imports take half a minute, and a check must have no effect.
"""

import ast
import functools
import re
from collections.abc import Iterator
from importlib import machinery
from pathlib import Path

from pipeline.kubeflow.check.compiled import Compiled
from pipeline.kubeflow.check.faults import Fault, Rule, Verdict

MODULE = Rule("module", Verdict.TAKES, "the step ends with ModuleNotFoundError")
NAME = Rule("class", Verdict.TAKES, "the step ends with AttributeError")

_PYTHON = re.compile(r"(?:.*/)?python[0-9.]*")
_CLASS_OPTION = "--executor_class_path"
_WITH_VALUE = ("-W", "-X", "--check-hash-based-pycs")


def check(compiled: Compiled) -> Iterator[Fault]:
    """What is wrong with the command lines of all containers."""
    for label, executor in compiled.executors.items():
        container = executor.get("container", {})
        place = ("deploymentSpec", "executors", label, "container")
        words = [
            ((*place, key, index), word)
            for key in ("command", "args")
            for index, word in enumerate(container.get(key, []))
        ]
        for where, module in _modules(words):
            if not is_program(module):
                yield MODULE.broken(
                    where,
                    "a module that this installation can run",
                    module,
                    "install the package, or compile with the version that has it",
                )
        for where, path in _classes(words):
            module, _, name = path.rpartition(".")
            if not module or find(module) is None:
                yield MODULE.broken(
                    where,
                    "a class in a module of this installation",
                    path,
                    "install the package, or compile with the version that has it",
                )
            elif not has_name(module, name):
                yield NAME.broken(
                    where,
                    f"a class that {module} defines",
                    name,
                    "compile the file anew with this version",
                )


def find(module: str) -> machinery.ModuleSpec | None:
    """Where a module lies, without an import of the packages that it is in."""
    spec, path = None, None
    for part in module.split("."):
        spec = _find(part, path)
        if spec is None:
            return None
        path = tuple(spec.submodule_search_locations or ())
    return spec


@functools.cache
def _find(part: str, path: tuple[str, ...] | None) -> machinery.ModuleSpec | None:
    # Of a full name the finder would look for the parents among the imported modules.
    if path is None:
        return machinery.BuiltinImporter.find_spec(part) or machinery.PathFinder.find_spec(part)
    return machinery.PathFinder.find_spec(part, list(path))


def is_program(module: str) -> bool:
    """Whether the option -m of Python takes it: a module, or a package with `__main__`."""
    spec = find(module)
    if spec is None:
        return False
    return spec.submodule_search_locations is None or find(f"{module}.__main__") is not None


@functools.cache
def has_name(module: str, name: str) -> bool:
    """Whether a module binds a name at its top, as far as its source shows.

    TFX makes the executor of a function `Step` under the name `Step_Executor`.
    """
    spec = find(module)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return True  # An extension shows nothing.
    bound = _bound(ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body)
    return "*" in bound or name in bound or name.removesuffix("_Executor") in bound


def _bound(body: list[ast.stmt]) -> set[str]:
    names: set[str] = set()
    for statement in body:
        match statement:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                names.add(name)
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                names |= {alias.asname or alias.name.partition(".")[0] for alias in aliases}
            case ast.Assign(targets=targets):
                names |= {n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
            case ast.If() | ast.Try():
                inner = [*statement.body, *statement.orelse]
                if isinstance(statement, ast.Try):
                    inner += statement.finalbody
                    inner += [each for handler in statement.handlers for each in handler.body]
                names |= _bound(inner)
    return names


def _modules(words: list) -> Iterator[tuple]:
    """What Python's option -m names, with its place; nothing of other programs."""
    if not words or not _PYTHON.fullmatch(words[0][1]):
        return
    following = iter(words[1:])
    for _, word in following:
        if word == "-m":
            yield next(following, (words[0][0], ""))
            return
        if word.startswith("-m"):
            yield words[0][0], word.removeprefix("-m")
            return
        if word in _WITH_VALUE:
            next(following, None)
        elif not word.startswith("-") or word in ("-", "-c"):
            return


def _classes(words: list) -> Iterator[tuple]:
    for index, (where, word) in enumerate(words):
        option, has_value, value = word.partition("=")
        if option == _CLASS_OPTION:
            if has_value:
                yield where, value
            else:
                yield words[index + 1] if index + 1 < len(words) else (where, "")
