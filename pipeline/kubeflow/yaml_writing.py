"""Writes YAML of which every reader makes the same values, PyYAML as well as go-yaml.

PyYAML leaves texts such as `1e3` and `0o7` without quotation marks, which others read as numbers.
"""

from collections.abc import Sequence
from typing import Any

import yaml

from pipeline.kubeflow.check import yaml_reading

_MAY_BE_NUMBERS = tuple("+-.0123456789")


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    is_plain = yaml_reading.resolved(text) == text and not text.startswith(_MAY_BE_NUMBERS)
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, None if is_plain else "'")


_Dumper.add_representer(str, _text)


def text(documents: Sequence[Any]) -> str:
    """Documents as YAML: keys sorted, no aliases.

    Args:
        documents: of mappings, lists, texts, numbers, true, false and null.
    """
    return yaml.dump_all(documents, Dumper=_Dumper, sort_keys=True)
