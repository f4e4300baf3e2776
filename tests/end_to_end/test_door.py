"""What is refused before anything runs: clear lines, an exit code by cause, no slow import."""

import re
import subprocess
import sys

import pytest

HEAVY = re.compile(r"\| +(tensorflow|keras|tfx|apache_beam|tensorflow_model_analysis)$", re.M)

SEARCH = ["--set", "tuner.trials=2", "--set"]


def check_refused(checkout, arguments: list[str], code: int, *messages: str, runner="local_runner"):
    """Runs a command that must fail at the door, which needs neither TensorFlow nor TFX."""
    done = subprocess.run(
        [
            sys.executable,
            "-X",
            "importtime",
            *checkout.command(*arguments, runner=f"{runner}.py")[1:],
        ],
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    imports = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    said = done.stdout + "\n".join(set(done.stderr.splitlines()) - set(imports))
    assert done.returncode == code, said
    for message in messages:
        assert message in done.stdout, said
    assert "to fix" in done.stdout and "Traceback" not in said
    assert not HEAVY.findall("\n".join(imports))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--recipe", "pancake"], "expected a recipe, one of sample, pascal"),
        (["--dataset", "coco"], "expected a data set among ade20k, pascal, sample"),
        (["--set", "training.stepz=3"], "use training.steps"),
        (["--set", "training.steps=many"], "expected training.steps to be a whole number"),
        (["--set", "training.steps=-1"], "expected training.steps to be"),
        (["--set", "data.dataset=mars"], "expected a data set among"),
        (["--set", "model.dropout=5"], "expected model.dropout to be a number in [0, 1); got 5"),
        (["--set", "model.backbone=vgg"], "expected a backbone among xception_41"),
        (["--set", "model.aspp_depth=0"], "expected model.aspp_depth to be a whole number"),
        (["--set", "training.class_weights=[1, 2]"], "with 7 numbers, one for each class"),
        (["--set", "data.crop_size=65"], "use data.canvas_size"),
        (["--to-node", "Tranform"], "expected --to-node to be a step, one of Sources"),
        (["--from-node", "Trainer", "--to-node", "DataGate"], "the second comes before the first"),
        (["--from-node", "Tuner"], "expected tuner.trials of at least 1 with the step Tuner"),
        (["--to-node", "Tuner"], "expected tuner.trials of at least 1 with the step Tuner"),
        (["--to-node", "TFLite"], "expected tflite.kinds with the step TFLite"),
        (["--set", 'tflite.kinds=["int4"]'], "expected tflite.kinds to be a list of float32"),
        (["--set", "tflite.max_points_lost=-1"], "expected tflite.max_points_lost to be a number"),
        (["--set", "tuner.trials=2"], "expected tuner.space to be what to choose from"),
        (
            [*SEARCH, 'tuner.space={"training.momentum": {"min": 0.5, "max": 1.5}}'],
            "with training.momentum=1.5: expected training.momentum",
        ),
        (
            [*SEARCH, 'tuner.space={"model.depth": {"choices": [1, 2]}}'],
            "expected tuner.space to be by paths of training or model",
        ),
        (["--output", "/dev/null/out"], "expected a folder that can be written"),
        (["--output", "/tmp/o[1]"], "expected root without * ? [ ]"),
        (["--output", "/tmp/o*"], "expected root without * ? [ ]"),
        (["--environment", "moon"], "expected an environment, one of kubeflow, local"),
        (["--environment", "/nowhere.toml"], "expected an environment as TOML in /nowhere.toml"),
        (
            ["--environment", "kubeflow"],
            "expected metadata and a root on this machine for a run here",
        ),
        (["--schemas", "/nowhere"], "expected a folder of data sets"),
        (["--checkpoint", "/nowhere/model.ckpt"], "expected a checkpoint at /nowhere/model"),
        (["--checkpoint", "served"], "initial_weights.source"),
    ],
)
def test_configuration_refused_at_the_door(checkout, arguments, message):
    check_refused(checkout, arguments, 2, message)


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
        (["--checkpoint", "http://127.0.0.1:9/a.tar.gz"], 6, "Connection refused"),
    ],
)
def test_files_and_network_refused_at_the_door(checkout, tmp_path, arguments, code, message):
    words = [argument.format(empty=tmp_path) for argument in arguments]
    check_refused(checkout, words, code, message)


def test_all_faults_are_said_at_once(checkout):
    wrong = ("training.steps=many", "model.dropout=5", "data.cropsize=3", "serving.requests=0")
    check_refused(
        checkout,
        [
            *(word for assignment in wrong for word in ("--set", assignment)),
            *("--to-node", "Tranform", "--environment", "moon"),
        ],
        2,
        *("training.steps", "model.dropout", "data.cropsize", "serving.requests"),
        *("--to-node", "expected an environment"),
    )


def test_too_little_disk(checkout, tmp_path):
    place = tmp_path / "small.toml"
    place.write_text('root = "output"\nmetadata = "sqlite:{root}/db"\nmin_free_disk_gb = 1e9\n')
    check_refused(checkout, ["--environment", str(place)], 2, "GB free below")


@pytest.mark.parametrize(
    ("signing", "message"),
    [
        ('private_key = "{root}/gone"', "gone; got No such file or directory; to fix, make a pair"),
        ('private_key = "/etc/passwd"', "expected a private key on secp256r1"),
        ('private_key = "/dev/zero"', "got no file; to fix, make a pair with"),
        ('private_key = "k"\npassword = "NOWHERE"', "the environment variable that signing.passw"),
        ('identity_token = "NOWHERE"', "the environment variable that signing.identity_token nam"),
        ('certificate = "c"', "expected signing with either private_key or identity_token; got n"),
    ],
)
def test_a_key_that_is_none_is_refused_at_the_door(checkout, tmp_path, signing, message):
    place = tmp_path / "mine.toml"
    place.write_text(f'root = "output"\nmetadata = "sqlite:{{root}}/db"\n[signing]\n{signing}\n')
    check_refused(checkout, ["--environment", str(place)], 2, message)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--pipeline-root", "runs"], "expected root to be an absolute path"),
        (["--pipeline-root", "gs://b/x*"], "expected root without * ? [ ]"),
        (["--pipeline-root", "/mnt/runs"], "expected a bucket's address, one of gs://, s3://, "),
        (["--pipeline-root", "hdfs://b/x"], "expected a bucket's address"),
        (["--set", "name=" + 60 * "a"], "expected a name of at most 63 lower-case letters"),
        (["--data-dir", "records"], "expected data.source to be an absolute path"),
        (
            ["--checkpoint", "a/model.ckpt"],
            "expected initial_weights.source to be an absolute path",
        ),
        (["--image", "Not An Image"], "expected image to be a container image"),
        (["--environment", "local"], "expected an image for steps run on other machines"),
    ],
)
def test_what_a_cluster_could_not_use_is_refused(checkout, arguments, message):
    check_refused(checkout, arguments, 2, message, runner="kubeflow_runner")


def test_unknown_option(checkout):
    done = checkout.run("--frobnicate")
    assert done.returncode == 2 and "unrecognized arguments: --frobnicate" in done.stderr


@pytest.mark.parametrize("runner", ["local_runner.py", "kubeflow_runner.py"])
def test_help_names_options_and_exit_codes(checkout, runner):
    done = checkout.run("--help", runner=runner)
    assert done.returncode == 0
    assert "--set" in done.stdout and "5 serving check failed" in done.stdout
