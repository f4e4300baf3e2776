"""What YAML may hold, read as Kubeflow's reader does, and refused where two readers differ."""

import math
import os

import pytest

from components.errors import ConfigError
from pipeline.kubeflow import check
from pipeline.kubeflow.check import yaml_reading
from tests.pipeline.kubeflow import small_pipeline

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 30)
)

TRAPS: dict[str, tuple[str, bytes]] = {
    "not YAML": ("yaml", b"\x7fELF: [1"),
    "a bracket that is not closed": ("yaml", b"a: [1, 2\n"),
    "a tab as indentation": ("yaml", b"root:\n\tdag: {}\n"),
    "a zero byte": ("yaml", b"a: \x00\n"),
    "an alias without its anchor": ("yaml", b"a: *b\n"),
    "an alias of what it stands in": ("yaml", b"a: &a [*a]\n"),
    "half of a surrogate pair": ("yaml", b'a: "\\ud800"\n'),
    "bytes that are no UTF-8": ("encoding", b"a: \xff\xfe\n"),
    "UTF-16": ("utf-16", "a: b".encode("utf-16")),
    "a key twice": ("yaml-keys", b"a: 1\na: 2\n"),
    "a key twice in JSON": ("yaml-keys", b'{"a": 1, "a": 2}'),
    "a number as key": ("yaml-keys", b"a: {1: x}\n"),
    "a list as key": ("yaml-keys", b"? [a]\n: b\n"),
    "an infinite number": ("yaml-numbers", b"a: .inf\n"),
    "no number": ("yaml-numbers", b"a: .NaN\n"),
    "a date": ("yaml-dates", b"a: 2026-08-01\n"),
    "a tag of Python": ("yaml-tags", b"a: !!python/object/apply:os.system [ls]\n"),
    "a tag that makes a number of a text": ("yaml-tags", b'a: !!int "1"\n'),
    "a merge": ("yaml-merges", b"a: &a {b: 1}\nc: {<<: *a}\n"),
    "a bomb of aliases": ("yaml-aliases", BOMB.encode()),
    "more aliases than Kubeflow would take": (
        "yaml-aliases",
        f"a: &a [{', '.join(['x'] * 99)}]\nb: [{', '.join(['*a'] * 10)}]\n".encode(),
    ),
    "a quarter of a million values": ("yaml-values", b"a: [" + b"1," * 250_000 + b"1]\n"),
    "ten thousand levels": ("yaml-depth", b"a: " + b"[" * 10_000),
    "a hundred levels of blocks": (
        "yaml-depth",
        "".join(f"{' ' * n}k:\n" for n in range(100)).encode(),
    ),
    "a mebibyte and more": ("size", b"#" * (yaml_reading.MAX_BYTES + 1)),
    "a list": ("documents", b"- a\n"),
    "a text": ("documents", b"hello\n"),
    "only a comment": ("pipeline", b"# nothing\n---\n"),
}
"""By a description: the rule, and the file."""


@pytest.mark.parametrize("trap", TRAPS)
def test_a_trap_is_refused_and_read_no_further_than_needed(trap):
    rule, content = TRAPS[trap]
    found, lines = check.faults(content)
    assert rule in {fault.rule.name for fault in found}
    assert all("to fix, " in fault.text(lines) for fault in found)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((text, text) for text in ("yes", "no", "on", "off", "y", "N", "1:30", "0x", "1e", "--1")),
        *((text, text) for text in ("2.1.0", "08a", "1__a", ".", "-", "+", "nan", "inf", "0o8")),
        *((text, True) for text in ("true", "True", "TRUE")),
        *((text, None) for text in ("", "~", "null", "Null", "NULL")),
        *[("017", 15), ("0o17", 15), ("0x1F", 31), ("0b11", 3), ("1_000", 1000), ("+5", 5)],
        *[("-0x10", -16), ("08", 8.0), ("1.50", 1.5), ("1e3", 1000.0), (".5", 0.5), ("-.5", -0.5)],
        *[("18446744073709551615", 2**64 - 1), ("18446744073709551616", float(2**64))],
        *[("9" * 400, "9" * 400), ("1e999", "1e999"), ("-9223372036854775808", -(2**63))],
    ],
)
def test_a_plain_scalar_is_what_kubeflow_reads(text, value):
    read = yaml_reading.resolved(text)
    assert read == value and type(read) is type(value)


def test_special_numbers_are_known_as_such():
    assert math.isnan(yaml_reading.resolved(".nan")) and yaml_reading.resolved("-.Inf") == -math.inf


def test_aliases_that_stay_small_are_written_out():
    text = small_pipeline.written(small_pipeline.pipeline()).decode()
    shared = text.replace("enableCache: true", "enableCache: &cached true", 1)
    shared = shared.replace("enableCache: true", "enableCache: *cached")
    assert "*cached" in shared and not check.faults(shared.encode())[0]


def test_a_mark_before_the_first_line_and_an_end_of_documents_change_nothing():
    text = small_pipeline.written(small_pipeline.pipeline())
    assert not check.faults(b"\xef\xbb\xbf" + text + b"...\n---\n---\n")[0]
    assert not check.faults(text.replace(b"\n", b"\r\n"))[0]


def test_names_with_underscores_are_those_in_camel_case():
    text = small_pipeline.written(small_pipeline.pipeline()).decode()
    for camel, snake in (
        ("pipelineInfo", "pipeline_info"),
        ("deploymentSpec", "deployment_spec"),
        ("componentRef", "component_ref"),
        ("artifactUri", "artifact_uri"),
    ):
        assert camel in text
        text = text.replace(camel, snake)
    assert not check.faults(text.encode())[0]


def test_a_file_of_100_megabytes_is_not_read_whole(tmp_path):
    path = tmp_path / "large.yaml"
    path.touch()
    os.truncate(path, 100_000_000)
    content = check.read(str(path))
    assert len(content) == yaml_reading.MAX_BYTES + 1
    with pytest.raises(ConfigError, match="size"):
        check.require_fit(content, str(path))


@pytest.mark.parametrize("name", ["nowhere.yaml", ".", "/dev/null/file.yaml"])
def test_what_cannot_be_read_is_one_message(tmp_path, name):
    with pytest.raises(ConfigError, match="expected a compiled file at"):
        check.read(str(tmp_path / name))
