"""Random changes of compiled files: keys go, change their names, values and types, or swap."""

import copy
import random
from collections.abc import Iterator
from typing import Any

ODD_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1.5, 2**31, 2**63, 2**64, 1e300, 10**30),
    *("", "a", "1", "1.0", " 1", "+1", "1_0", "NaN", "Infinity", "nan", "30s", "30", "1e2", "01"),
    *(
        [],
        {},
        [None],
        [{}],
        {"a": 1},
        [[1]],
        {"": {}},
        "STRING",
        "NUMBER_INTEGER",
        "INT",
        "ß",
        "\t",
    ),
    *("ALL_UPSTREAM_TASKS_COMPLETED", "Nowhere", "root", "{{$.inputs.parameters['x']}}"),
)


def mutated(file: dict[str, Any], seed: int) -> dict[str, Any]:
    """A copy with one to three changes.

    Args:
        file: a document; it stays as it is.
        seed: of the changes.
    """
    chance = random.Random(seed)
    changed = copy.deepcopy(file)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        places = list(_places(changed))
        if not places:  # The change before took all of it.
            break
        holder, key = chance.choice(places)
        chance.choice((_remove, _rename, _replace, _replace, _swap, _nest, _add))(
            chance, changed, holder, key
        )
    return changed


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """All values of a document, each by what holds it and its key there."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, child in list(items):
        yield value, key
        if isinstance(child, dict | list):
            yield from _places(child)


def _remove(chance: random.Random, file: dict, holder: Any, key: Any) -> None:
    del holder[key]


def _rename(chance: random.Random, file: dict, holder: Any, key: Any) -> None:
    if isinstance(holder, dict):
        new = chance.choice((f"{key}x", key[1:], key.upper(), f"{key}-driver", _snake(key), "root"))
        holder[new] = holder.pop(key)


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name)


def _replace(chance: random.Random, file: dict, holder: Any, key: Any) -> None:
    holder[key] = copy.deepcopy(chance.choice(ODD_VALUES))


def _swap(chance: random.Random, file: dict, holder: Any, key: Any) -> None:
    """With another value of the document, of the same type where there is one."""
    others = [
        (other, place)
        for other, place in _places(file)
        if type(other[place]) is type(holder[key]) and (other is not holder or place != key)
    ]
    if others:
        other, place = chance.choice(others)
        # One may hold the other.
        holder[key], other[place] = copy.deepcopy(other[place]), copy.deepcopy(holder[key])


def _nest(chance: random.Random, file: dict, holder: Any, key: Any) -> None:
    holder[key] = chance.choice(([holder[key]], {"constant": holder[key]}))


def _add(chance: random.Random, file: dict, holder: Any, key: Any) -> None:
    value = copy.deepcopy(chance.choice(ODD_VALUES))
    if isinstance(holder, dict):
        holder[chance.choice(("extra", "type", "inputs", "dag", "triggerPolicy", "name"))] = value
    else:
        holder.append(value)
