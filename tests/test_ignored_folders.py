"""What README's commands make or read in the current folder stays out of the repository."""

import re

import pytest

from tests.conftest import REPOSITORY

COMMANDS = (REPOSITORY / "README.md").read_text(encoding="utf-8")
OPTIONS = r"(?:mkdir|--output|--source|--data-dir|--schemas|--checkpoint)"
NAMES = re.findall(rf"{OPTIONS}\s+(\w+)(?:/[\w./-]+|(?=[\s`,]))", COMMANDS)
FOLDERS = sorted(set(NAMES) - {"PATH", "DIR", "SPANS", "served", "NAME"})


def test_readme_names_folders():
    assert {"output", "data", "descriptions", "spans", "delivery", "VOCdevkit"} <= set(FOLDERS)


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_of_a_command_is_ignored(folder):
    assert f"/{folder}/" in (REPOSITORY / ".gitignore").read_text().splitlines()
