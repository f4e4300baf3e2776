"""What a step's cache key sees."""

import json
import shutil
import subprocess
import sys

from tests.conftest import REPOSITORY

SCRIPT = """
import json, pathlib, sys
from components.fingerprint import source_fingerprint
modules = ("components.report", "components.trainer", "components.dataset.sample.rendering")
changed = {}
for file in sys.argv[1:]:
    before = {name: source_fingerprint(name) for name in modules}
    pathlib.Path(file).open("a").write("\\n")
    changed[file] = [name for name in modules if source_fingerprint(name) != before[name]]
print(json.dumps(changed))
"""

CHANGED = {
    "components/report/page.html.jinja": ["components.report"],
    "components/pages/page_base.html.jinja": ["components.report"],
    "components/dataset/overview/page.html.jinja": [],
    "components/dataset/records.py": [
        "components.report", "components.trainer", "components.dataset.sample.rendering"
    ],
    "models/head.py": ["components.trainer"],
}  # fmt: skip


def test_a_changed_file_changes_the_steps_that_use_it_and_no_others(tmp_path):
    for package in ("components", "models", "schemas"):
        shutil.copytree(REPOSITORY / package, tmp_path / package)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *CHANGED],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout) == CHANGED
