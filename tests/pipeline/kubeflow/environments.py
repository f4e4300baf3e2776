"""Random environments of a cluster, as TOML."""

import json
import random
import string
from typing import Any

from pipeline import steps

IMAGE = "registry.example/deeplab@sha256:" + "0a" * 32
_DNS = string.ascii_lowercase + string.digits


def drawn(seed: int) -> dict[str, Any]:
    """An environment that a cluster takes, as its TOML reads; other ones for other seeds.

    Args:
        seed: of all choices.
    """
    chance = random.Random(seed)
    names = ["default", *chance.sample(steps.ALL, chance.randrange(6))]
    drawn = {
        "root": chance.choice(("gs://b", "s3://b/c", "minio://mlpipeline/x")),
        "image": IMAGE,
        "resources": {name: _entry(chance, name) for name in names if chance.random() < 0.9},
        "volumes": {_word(chance): _volume(chance) for _ in range(chance.randrange(6))},
        "secret_variables": {
            _word(chance).upper(): _secret(chance) for _ in range(chance.randrange(5))
        },
        "image_pull_secrets": [_word(chance) for _ in range(chance.randrange(3))],
    }
    if chance.random() < 0.5:
        drawn["image_pull_policy"] = chance.choice(("Always", "IfNotPresent", "Never"))
    return drawn


def toml(values: dict[str, Any]) -> str:
    """What is drawn, as a file."""
    return "\n".join(f"{json.dumps(key)} = {_value(value)}" for key, value in values.items())


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {_value(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value)


def _entry(chance: random.Random, name: str) -> dict[str, Any]:
    drawing = {
        "image": lambda: f"{_word(chance)}/{_word(chance)}@sha256:{chance.randbytes(32).hex()}",
        # Requests below every limit: the two may come from different entries.
        "cpu": lambda: _amount(chance, 10, 96),
        "cpu_request": lambda: _amount(chance, 0.001, 10),
        "memory_gb": lambda: _amount(chance, 10, 2000),
        "memory_request_gb": lambda: _amount(chance, 0.001, 10),
        "gpus": lambda: chance.randrange(9),
        "gpu_type": lambda: chance.choice(("nvidia.com/gpu", "amd.com/gpu", "a.b/mig-1g.5gb")),
        "retries": lambda: _retries(chance),
        "max_minutes": lambda: chance.randrange(1, 9_000),
        "cache": lambda: chance.random() < 0.5,
        "node_selector": lambda: _labels(chance),
        "tolerations": lambda: [_toleration(chance) for _ in range(chance.randrange(3))],
        "labels": lambda: _labels(chance),
        "annotations": lambda: {
            key: f'{value} {{1}} "ü"' for key, value in _labels(chance).items()
        },
    }
    chosen = [field for field in drawing if chance.random() < 0.5]
    return {field: drawing[field]() for field in chosen if (field, name) != ("image", "default")}


def _word(chance: random.Random) -> str:
    return chance.choice(string.ascii_lowercase) + "".join(chance.choices(_DNS, k=5))


def _amount(chance: random.Random, least: float, most: float) -> float | int:
    number = round(chance.uniform(least, most), chance.randrange(4))
    return int(number) if number == int(number) and number >= 1 else max(number, 0.001)


def _retries(chance: random.Random) -> dict[str, int]:
    # Above the longest time limit.
    given = {"limit": chance.randrange(1, 5), "max_seconds": chance.randrange(600_000, 900_000)}
    given |= {"seconds": chance.randrange(900)} if chance.random() < 0.5 else {}
    return given | ({"factor": chance.randrange(1, 5)} if chance.random() < 0.5 else {})


def _labels(chance: random.Random) -> dict[str, str]:
    prefixes = ("", "cloud.example/", "a-b.c/")
    values = ("", "true", "1", "T4_x.y", "null", "0x1", "1e3")
    return {
        chance.choice(prefixes) + _word(chance): chance.choice(values)
        for _ in range(chance.randrange(4))
    }


def _toleration(chance: random.Random) -> dict[str, Any]:
    given: dict[str, Any] = {"key": _word(chance)}
    given |= chance.choice(({"operator": "Equal", "value": "x"}, {"operator": "Equal"}, {}))
    if chance.random() < 0.3:
        return {**given, "effect": "NoExecute", "seconds": chance.randrange(100)}
    return given | chance.choice(({}, {"effect": "NoSchedule"}, {"effect": "PreferNoSchedule"}))


def _steps(chance: random.Random) -> dict[str, list[str]]:
    """For whom a volume or a secret is: all, or some."""
    some = {"steps": chance.sample(steps.ALL, chance.randrange(1, 6))}
    return chance.choice((some, {}))


def _secret(chance: random.Random) -> str | dict[str, Any]:
    key = f"s-{_word(chance)}.x/{_word(chance)}.K"
    return chance.choice((key, {"key": key, **_steps(chance)}))


def _volume(chance: random.Random) -> dict[str, Any]:
    kinds = (
        lambda: {"claim": f"claim-{_word(chance)}"},
        lambda: {"claim": "shared", "sub_path": f"{_word(chance)}/x"},
        lambda: {"secret": f"secret-{_word(chance)}"},
        lambda: {"empty_gb": _amount(chance, 0.001, 50)},
        lambda: {"empty_gb": 1, "in_memory": True},
        lambda: {"ephemeral_gb": _amount(chance, 1, 900)},
        lambda: {"ephemeral_gb": 2, "storage_class": "fast.x"},
    )
    return {"path": f"/mnt/{_word(chance)}", **chance.choice(kinds)(), **_steps(chance)}
