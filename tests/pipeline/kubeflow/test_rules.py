"""Every rule refuses something, and says where: in a small pipeline, and in one with a loop."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.kubeflow import check
from pipeline.kubeflow.check import names
from tests.conftest import REPOSITORY
from tests.pipeline.kubeflow import (
    broken_graphs,
    broken_parts,
    small_pipeline,
    test_known_verdicts,
    test_yaml_reading,
)
from tests.pipeline.kubeflow.breaking import BROKEN

assert broken_graphs and broken_parts  # They fill the table.


def judged(changed: Callable):
    file = small_pipeline.looped()
    result = changed(file) or {}
    is_document = not result.keys().isdisjoint(("platforms", "platform"))
    documents = [file, result] if is_document else [file]
    return check.faults(small_pipeline.written(*documents), {} if is_document else result)


def test_the_pipeline_with_a_loop_is_fit():
    assert not judged(lambda file: None)[0]


@pytest.mark.parametrize("number", range(len(BROKEN)), ids=[f"{r} {p}" for r, p, _ in BROKEN])
def test_a_rule_is_broken_at_its_place(number):
    rule, place, changed = BROKEN[number]
    found, lines = judged(changed)
    said = [fault.text(lines) for fault in found if fault.rule.name == rule]
    where = place if place == "the file" else rf"line \d+, \S*{re.escape(place)}"
    assert any(re.match(where, text) for text in said), (said, found)
    assert all("expected" in text and "; got " in text and "; to fix, " in text for text in said)


def test_all_faults_are_said_at_once():
    several = ("input-source", "module", "accelerator", "default")
    file = small_pipeline.looped()
    chosen = {rule: changed for rule, _, changed in BROKEN if rule in several}
    for changed in chosen.values():
        changed(file)
    found, _ = check.faults(small_pipeline.written(file))
    assert {fault.rule.name for fault in found} >= chosen.keys()


def test_every_rule_is_broken_by_some_test():
    broken = {rule for rule, _, _ in BROKEN}
    broken |= {rule for _, rule, _ in test_known_verdicts.CHANGES.values()}
    broken |= {rule for rule, _ in test_yaml_reading.TRAPS.values()}
    broken |= {fault.rule.name for fault in names.file_faults("deeplab.txt")}
    assert check.RULES.keys() <= broken, check.RULES.keys() - broken


def test_the_table_of_the_documentation_is_that_of_the_rules():
    page = Path(REPOSITORY, "docs", "kubeflow-check.md").read_text()
    rows = dict(re.findall(r"^\| `([\w-]+)` \|.*\| (refuses[^|]*|takes[^|]*) \|$", page, re.M))
    for rule in check.RULES.values():
        follows = f", and {rule.consequence}" if rule.consequence else ""
        assert rows.pop(rule.name).strip() == f"{rule.kubeflow.value}{follows}"
    assert not rows
