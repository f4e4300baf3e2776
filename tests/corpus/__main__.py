"""Writes `docs/corpus.md` anew."""

from pathlib import Path

from tests.corpus import table

PAGE = Path(__file__).parents[2] / "docs" / "corpus.md"

if __name__ == "__main__":
    PAGE.write_text(table.page(), encoding="utf-8")
