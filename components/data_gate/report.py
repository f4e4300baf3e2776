"""The data gate's report: which records there were, what they measure, what has drifted."""

import dataclasses
import json
from typing import Any

from components import texts
from components.dataset.examination import measures
from components.dataset.examination.measures import NOTHING, Measures

FILE = "report.json"
"""In the artifact; a pushed model carries a copy."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """One folder that records were ingested from."""

    span: int | None
    """Its number; None where the records do not come in spans."""
    digest: str
    """Of all records in any order, 32 hexadecimal digits."""
    splits: dict[str, Measures]

    @property
    def name(self) -> str:
        """For people; empty where the records do not come in spans."""
        return "" if self.span is None else f"span-{self.span}"

    def __str__(self) -> str:
        counts = ", ".join(
            f"{split} {texts.counted(split_measures.records, 'record')}"
            for split, split_measures in self.splits.items()
        )
        return f"{self.name} {counts}, digest {self.digest}".strip()


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """All that a run ingested."""

    sources: tuple[Source, ...]
    """The newest last."""
    drift: tuple[str, ...] = ()
    """What differs from before, or between the splits, by more than is allowed."""

    def total(self) -> dict[str, Measures]:
        """The sums over all sources, by split."""
        splits = self.sources[-1].splits
        return {
            split: sum((source.splits[split] for source in self.sources), NOTHING)
            for split in splits
        }

    def to_json(self) -> str:
        """`from_json` gives it back."""
        content: dict[str, Any] = {
            "sources": [
                {
                    "span": source.span,
                    "digest": source.digest,
                    "splits": {split: m.to_json() for split, m in source.splits.items()},
                }
                for source in self.sources
            ],
            "drift": list(self.drift),
        }
        return json.dumps(content, indent=2)


def from_json(text: str) -> Report:
    """What `Report.to_json` gave."""
    content = json.loads(text)
    return Report(
        sources=tuple(
            Source(
                span=source["span"],
                digest=source["digest"],
                splits={s: measures.from_json(m) for s, m in source["splits"].items()},
            )
            for source in content["sources"]
        ),
        drift=tuple(content["drift"]),
    )
