"""What is refused before anything runs: one clear line, its own exit code, no stack trace."""

import pytest


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--recipe", "pancake"], 2, "expected a recipe, one of sample, pascal"),
        (["--dataset", "coco"], 2, "expected a recipe, one of sample, pascal"),
        (["--set", "training.stepz=3"], 2, "use training.steps"),
        (["--set", "training.steps=many"], 2, "expected training.steps to be valid; got 'many'"),
        (["--set", "training.steps=-1"], 2, "expected training.steps to be"),
        (["--set", "data.dataset=mars"], 2, "expected data.dataset to be one of"),
        (["--set", "min_free_disk_gb=1e9"], 2, "GB free below"),
        (["--output", "/dev/null/out"], 2, "expected a folder that can be written"),
        (
            ["--checkpoint", "/nowhere/model.ckpt"],
            2,
            "expected a checkpoint at /nowhere/model.ckpt",
        ),
        (
            ["--dataset", "pascal"],
            3,
            "expected --data-dir with the pictures or TFRecords of PASCAL",
        ),
        (
            ["--dataset", "pascal", "--data-dir", "/nowhere"],
            3,
            "got /nowhere, which does not exist",
        ),
        (["--dataset", "pascal", "--data-dir", "{empty}"], 3, "matching 'train-*' for the train"),
    ],
)
def test_refused_at_the_door(checkout, tmp_path, arguments, code, message):
    done = checkout.run(*(argument.format(empty=tmp_path) for argument in arguments))
    assert done.returncode == code, done.stdout + done.stderr
    assert message in done.stdout and "to fix" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_unknown_option(checkout):
    done = checkout.run("--frobnicate")
    assert done.returncode == 2 and "unrecognized arguments: --frobnicate" in done.stderr


@pytest.mark.parametrize("runner", ["local_runner.py", "kubeflow_runner.py"])
def test_help_names_options_and_exit_codes(checkout, runner):
    done = checkout.run("--help", runner=runner)
    assert done.returncode == 0
    assert "--set" in done.stdout and "5 serving check failed" in done.stdout
