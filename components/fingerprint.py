"""A hash of the source and the templates a step runs, made part of the step's cache key.

TFX keys its cache on inputs and parameters, not on the body of a function named by its path, so
without this an edited model would be answered with yesterday's weights.

Modules named `progress` hold what a person sees while a step runs and nothing that decides a
result, so they are left out by rule, with what only they import: a reworded line must not train a
model again.
"""

import functools
import hashlib
import importlib.util
from pathlib import Path

import grimp

PACKAGES = ("components", "models", "schemas")
_SHOWN_ONLY = "progress"


@functools.cache
def _import_graph() -> grimp.ImportGraph:
    graph = grimp.build_graph(*PACKAGES, include_external_packages=False, cache_dir=None)
    for module in graph.modules:
        if module.rpartition(".")[2] == _SHOWN_ONLY:
            graph.remove_module(module)
    return graph


def source_fingerprint(module: str) -> str:
    """Hash of `module`, its submodules and every project module that they import, transitively.

    Modules named `progress` do not count, nor what nothing but they import.
    The page templates in a package count as its source.

    Args:
        module: dotted name of a module or package below one of `PACKAGES`.

    Returns:
        16 hexadecimal digits, equal for equal source on any machine.
    """
    graph = _import_graph()
    members = {module} | graph.find_descendants(module)
    needed = set(members)
    for member in members:
        needed |= graph.find_upstream_modules(member)
    digest = hashlib.sha256()
    for name in sorted(needed):
        path = Path(importlib.util.find_spec(name).origin)
        templates = path.parent.glob("*.jinja") if path.name == "__init__.py" else ()
        for part in (path, *sorted(templates)):
            digest.update(f"{name}/{part.name}".encode())
            digest.update(part.read_bytes())
    return digest.hexdigest()[:16]
