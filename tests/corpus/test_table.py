"""Every case says where it was met, and the page in `docs/` is made from all of them."""

import re

from tests.corpus import table
from tests.corpus.__main__ import PAGE


def test_every_case_has_a_name_of_its_own_with_its_source():
    names = list(table.names())
    assert len(set(names)) == len(names)
    assert [name for name in names if not table.NAME.fullmatch(name)] == []


def test_the_world_feeds_the_corpus():
    sources = {re.search(r"\[(.+)\]$", name)[1] for name in table.names()}
    assert len(sources) >= 80
    assert len({source.partition("#")[0] for source in sources}) >= 50


def test_the_page_is_current():
    assert PAGE.read_text(encoding="utf-8") == table.page(), "to fix, run python -m tests.corpus"
