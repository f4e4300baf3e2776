"""What is refused before anything runs: one clear line, its own exit code, no stack trace."""

import pytest


def check_refused(checkout, arguments: list[str], code: int, message: str) -> None:
    done = checkout.run(*arguments)
    assert done.returncode == code, done.stdout + done.stderr
    assert message in done.stdout and "to fix" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--recipe", "pancake"], "expected a recipe, one of sample, pascal"),
        (["--dataset", "coco"], "expected a data set, one of ade20k, pascal, sample"),
        (["--set", "training.stepz=3"], "use training.steps"),
        (["--set", "training.steps=many"], "expected training.steps to be valid; got 'many'"),
        (["--set", "training.steps=-1"], "expected training.steps to be"),
        (["--set", "data.dataset=mars"], "expected data.dataset to be one of"),
        (["--set", "min_free_disk_gb=1e9"], "GB free below"),
        (["--output", "/dev/null/out"], "expected a folder that can be written"),
    ],
)
def test_configuration_refused_at_the_door(checkout, arguments, message):
    check_refused(checkout, arguments, 2, message)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
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
        (["--dataset", "pascal", "--data-dir", "{empty}"], 3, "pictures of PASCAL VOC 2012 in"),
        (["--checkpoint", "/nowhere/model.ckpt"], 2, "expected a checkpoint at /nowhere/model"),
        (["--checkpoint", "http://127.0.0.1:9/a.tar.gz"], 6, "Connection refused"),
        (["--set", "model.backbone=vgg"], 2, "expected a backbone among xception_41"),
    ],
)
def test_files_and_network_refused_at_the_door(checkout, tmp_path, arguments, code, message):
    words = [argument.format(empty=tmp_path) for argument in arguments]
    check_refused(checkout, words, code, message)


def test_unknown_option(checkout):
    done = checkout.run("--frobnicate")
    assert done.returncode == 2 and "unrecognized arguments: --frobnicate" in done.stderr


@pytest.mark.parametrize("runner", ["local_runner.py", "kubeflow_runner.py"])
def test_help_names_options_and_exit_codes(checkout, runner):
    done = checkout.run("--help", runner=runner)
    assert done.returncode == 0
    assert "--set" in done.stdout and "5 serving check failed" in done.stdout
