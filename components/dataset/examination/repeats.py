"""Pictures and names that occur more than once, within a split or in two of them."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from components.dataset.examination import findings
from components.dataset.examination.findings import Finding
from schemas import Dataset

Place = tuple[str, str]
"""Split and filename of a record."""


def picture_digest(encoded: bytes) -> str:
    """What a picture is known by: the same file has the same, whatever its name."""
    return hashlib.sha256(encoded).hexdigest()[:32]


def repeated(places: Iterable[Place], what: str) -> list[Finding]:
    """What it means that several records share a name or a picture.

    Args:
        places: of all records that share it.
        what: "name" or "picture".
    """
    first, *others = sorted(places)
    found = []
    for split, filename in others:
        if what == "picture" and filename == first[1]:
            continue  # Said of the name already.
        if split != first[0]:
            detail = f"{first[0]} has the same {what}" + (
                f", {first[1]}" if first[1] != filename else ""
            )
            found.append(Finding(split, filename, findings.IN_TWO_SPLITS, detail))
        else:
            detail = f"the same {what} as {first[1]}"
            found.append(Finding(split, filename, findings.DUPLICATE, detail))
    return found


def repeats(
    places: Mapping[tuple[str, str], Sequence[Place]], splits: Sequence[str], dataset: Dataset
) -> list[Finding]:
    """All that is repeated, sorted; splits that may share pictures are looked at one by one.

    Args:
        places: of the records by "name" or "picture" and which.
        splits: names of them.
        dataset: says which may overlap.
    """
    described = dataset.source.splits if dataset.source else {}

    def may_share(one: str, other: str) -> bool:
        return any(
            b in described[a].overlaps for a, b in ((one, other), (other, one)) if a in described
        )

    together: list[str] = []
    for split in splits:
        if not any(may_share(split, other) for other in together):
            together.append(split)
    parts = [together, *([split] for split in splits if split not in together)]
    found = []
    for (what, _), sharing in places.items():
        for part in parts if len(sharing) > 1 else ():
            own = [place for place in sharing if place[0] in part]
            found += repeated(own, what) if own else []
    return sorted(found, key=lambda finding: (finding.split, finding.filename, finding.cause))
