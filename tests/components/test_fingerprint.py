"""What a step's cache key sees."""

import json
import shutil
import subprocess
import sys

from tests.conftest import REPOSITORY

SCRIPT = """
import json, pathlib, sys
from components.fingerprint import source_fingerprint
modules = (
    "components.report", "components.trainer", "models", "components.dataset.sample.rendering"
)
changed = {}
before = {name: source_fingerprint(name) for name in modules}
for file in sys.argv[1:]:
    pathlib.Path(file).open("a").write("\\n")
    after = {name: source_fingerprint(name) for name in modules}
    changed[file] = [name for name in modules if after[name] != before[name]]
    before = after
print(json.dumps(changed))
"""

CHANGED = {
    "components/report/page.html.jinja": ["components.report"],
    "components/pages/page_base.html.jinja": ["components.report"],
    "components/dataset/overview/page.html.jinja": [],
    "components/dataset/records.py": [
        "components.report", "components.trainer", "components.dataset.sample.rendering"
    ],
    # The Report knows the export's signatures, and these the network's variables.
    "models/head.py": ["components.trainer", "models"],
    # How weights are found and fetched is reworded without training again.
    "components/initial_weights/find.py": [],
    "components/storage/downloads.py": [],
    "components/initial_weights/loading.py": ["components.trainer"],
    "components/private_names.py": ["components.trainer"],
    **{
        str(file.relative_to(REPOSITORY)): ["components.trainer"]
        for file in (REPOSITORY / "components/trainer").glob("*.py")
    },
    # The Report shows the curves.
    "components/trainer/history.py": ["components.report", "components.trainer"],
    # What is only shown, and what only that imports.
    "components/trainer/progress.py": [],
    "components/only_shown.py": [],
}  # fmt: skip


def test_a_changed_file_changes_the_steps_that_use_it_and_no_others(tmp_path):
    for package in ("components", "models", "schemas"):
        shutil.copytree(REPOSITORY / package, tmp_path / package)
    (tmp_path / "components/only_shown.py").write_text("BAR = 80\n")
    progress = tmp_path / "components/trainer/progress.py"
    progress.write_text(f"{progress.read_text()}from components.only_shown import BAR\n")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *CHANGED],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout) == CHANGED
