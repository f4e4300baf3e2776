"""What the README shows of an environment is one."""

import re

from pipeline import environment
from tests.conftest import REPOSITORY


def test_the_environment_of_the_readme_loads(tmp_path):
    (example,) = [
        block
        for block in re.findall(r"```toml\n(.*?)```", (REPOSITORY / "README.md").read_text(), re.S)
        if block.startswith("root = ")
    ]
    path = tmp_path / "mine.toml"
    path.write_text(example)
    place = environment.load(str(path))
    assert place.name == "mine" and place.served == "/srv/models"
    assert place.metadata == "sqlite:/data/deeplab/metadata.sqlite"
    options = place.runtime().beam_options
    assert options["Evaluator"] == ("--runner=FlinkRunner", "--flink_master=host:8081")
    assert options["DataGate"] == place.beam.options
