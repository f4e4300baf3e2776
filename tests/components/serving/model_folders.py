"""Folders as an export leaves them, as far as pushing goes, and pushes of them."""

import json
from pathlib import Path

import schemas
from components.runtime import Signing
from components.serving import pushing, versions


def make_model(folder: Path, dataset: str, weights: bytes = b"weights") -> str:
    (folder / "assets.extra").mkdir(parents=True)
    (folder / "variables").mkdir()
    (folder / "variables" / "data").write_bytes(weights)
    (folder / "saved_model.pb").write_bytes(b"graph")
    classes = list(schemas.load(dataset).class_names)
    identity = f"{dataset}1{weights.decode()}"
    description = {"dataset": dataset, "classes": classes, "identity": identity}
    (folder / "assets.extra" / "model.json").write_text(json.dumps(description))
    return str(folder)


def push(
    model: str, folder: str, made_from: str = "ab", signing: Signing | None = None, **known
) -> str:
    provenance = versions.Provenance(
        made_from=made_from, pipeline="deeplab-sample", pushed_at="2026-01-02T03:04:05", **known
    )
    report = {f"{versions.EXTRA}/{versions.DATA_REPORT}": b"{}"}
    return pushing.push(model, folder, report, provenance, signing=signing)
