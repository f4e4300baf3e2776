"""Whatever is done to a file, the check ends with faults; and what protojson refuses is refused."""

import random

import pytest
from google.protobuf import json_format

from pipeline.kubeflow import check
from pipeline.kubeflow.check.faults import Verdict
from tests.pipeline.kubeflow import mutations, small_pipeline

SEEDS = range(300)
BASES = {"plain": small_pipeline.pipeline, "looped": small_pipeline.looped}


def read_by_protobuf(file: dict) -> None:
    """Reads the messages as Kubeflow does: what runs, a second time as a message of its own.

    Raises:
        json_format.ParseError: they are none.
    """
    # Imported here: the package imports Kubernetes' client.
    from kfp.pipeline_spec import pipeline_spec_pb2 as messages

    spec = json_format.ParseDict(file, messages.PipelineSpec())
    deployment = json_format.MessageToDict(spec.deployment_spec)
    config = messages.PipelineDeploymentConfig()
    json_format.ParseDict(deployment, config, ignore_unknown_fields=True)


@pytest.mark.parametrize("base", BASES)
def test_the_unchanged_file_is_read_by_both(base):
    read_by_protobuf(BASES[base]())
    assert not check.faults(small_pipeline.written(BASES[base]()))[0]


@pytest.mark.parametrize("base", BASES)
def test_a_changed_file_is_judged_and_what_protobuf_refuses_is_refused(base):
    refused, fit = 0, 0
    for seed in SEEDS:
        file = mutations.mutated(BASES[base](), seed)
        found, lines = check.faults(small_pipeline.written(file))
        for fault in found:
            text = fault.text(lines)
            assert "expected " in text and "; got " in text and "; to fix, " in text
            assert text.isprintable(), text
        try:
            read_by_protobuf(file)
        except json_format.ParseError as error:
            refused += 1
            verdicts = {fault.rule.kubeflow for fault in found}
            assert verdicts & {Verdict.UPLOAD, Verdict.RUN}, (seed, error)
        fit += not found
    # The changes reach both.
    assert refused > len(SEEDS) / 5 and fit > len(SEEDS) / 100


@pytest.mark.parametrize("seed", range(8))
def test_the_same_file_has_the_same_faults(seed):
    content = small_pipeline.written(mutations.mutated(small_pipeline.looped(), seed))
    assert check.faults(content) == check.faults(content)


def test_a_platform_document_that_is_changed_is_judged():
    base = small_pipeline.platform(
        imagePullPolicy="Always",
        secretAsEnv=[{"secretName": "a", "keyToEnv": [{"secretKey": "b", "envVar": "C"}]}],
        pvcMount=[{"constant": "disk", "mountPath": "/mnt"}],
        tolerations=[{"key": "gpu", "operator": "Exists"}],
        nodeSelector={"labels": {"pool": "gpu"}},
    )
    pipeline = small_pipeline.pipeline()
    assert not check.faults(small_pipeline.written(pipeline, base))[0]
    refused = sum(
        bool(check.faults(small_pipeline.written(pipeline, mutations.mutated(base, seed)))[0])
        for seed in range(200)
    )
    assert refused > 100


@pytest.mark.parametrize("seed", range(200))
def test_random_bytes_within_a_file_never_crash_the_check(seed):
    chance = random.Random(seed)
    content = bytearray(small_pipeline.written(small_pipeline.looped()))
    for _ in range(chance.randint(1, 5)):
        start = chance.randrange(len(content))
        content[start : start + chance.randint(0, 3)] = chance.randbytes(chance.randint(0, 3))
    found, lines = check.faults(bytes(content))
    assert all(fault.text(lines) for fault in found)
