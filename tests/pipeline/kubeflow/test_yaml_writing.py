"""What is written is read as the same by PyYAML and by Kubeflow's rules."""

import json
import random

import pytest
import yaml

from pipeline.kubeflow import yaml_writing
from pipeline.kubeflow.check import yaml_reading

ODD = (
    *("1e3", "0o7", "0b1", "0x1F", "1_000", ".5", "1.", "-.inf", ".NaN", "+1", "-", "1:30", "08"),
    *("", "~", "null", "y", "n", "on", "yes", "True", "<<", "=", "!x", "&a", "*a", "- a", "a: b"),
    *("2020-01-01", "2020-1-1 1:1:1", " a", "a ", "a #b", "ü\n\tb", "{{$}}", "'\"", "%", "@", "`"),
    *(" ", "\x85", "\ud7ff", "a\r\nb", "😀", "---", "...", "? a", "key: |", "\\n"),
)
LETTERS = "+-.0123456789eExXobaf_:#{}[]'\"!&*?|> \n\tü~"


def plain(node: yaml_reading.Node):
    if isinstance(node.value, dict):
        return {key: plain(child) for key, child in node.value.items()}
    if isinstance(node.value, list):
        return [plain(child) for child in node.value]
    return node.value


def check_same(documents: list) -> None:
    text = yaml_writing.text(documents)
    assert list(yaml.safe_load_all(text)) == documents
    found = [plain(node) for node in yaml_reading.documents(text.encode())]
    # As JSON 1, 1.0 and true differ.
    assert json.dumps(found, sort_keys=True) == json.dumps(documents, sort_keys=True)


@pytest.mark.parametrize("text", ODD)
def test_odd_texts_stay_texts_as_values_and_as_keys(text):
    check_same([{text: text, f"a{text}": [text]}, {"b": {text: 1}}])


@pytest.mark.parametrize("seed", range(20))
def test_random_values_stay_what_they_are(seed):
    chance = random.Random(seed)
    for _ in range(50):
        word = "".join(chance.choices(LETTERS, k=chance.randrange(9)))
        number = chance.choice((0, -1, 2**40, 0.25, 1e-7, 1e30, 123456.789))
        check_same([{"a": [word, number, True, None, []], f"b{word}": {}, word: ""}])


def test_what_occurs_twice_is_written_twice():
    same = {"a": "1"}
    assert "&" not in yaml_writing.text([{"b": same, "c": same}, same])
