"""Walks through graphs: order, values, cache, failures, retries, limits, for random graphs."""

import functools
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from components.errors import ConfigError
from tests.conftest import REPOSITORY
from tests.pipeline.kubeflow.replay.small_files import Files
from tests.pipeline.kubeflow.small_pipeline import parameter

pytestmark = pytest.mark.slow

VOLUME = {"pvcMount": [{"constant": "shared", "mountPath": "/mnt/shared"}]}


def graph(seed: int) -> tuple[Files, dict[str, list[str]]]:
    """A random graph, in an order that is none, and what each task comes after.

    A task writes its name and, in brackets, what those before it have written.
    """
    chance = random.Random(seed)
    names = [f"t{number}" for number in range(chance.randint(4, 7))]
    after = {
        name: sorted(chance.sample(names[:index], chance.randint(0, min(index, 3))))
        for index, name in enumerate(names)
    }
    files = Files()
    for name in chance.sample(names, len(names)):
        read = "".join(f'$(cat "$from_{of}")' for of in after[name])
        script = f'test -e /mnt/shared/{name} || exit 7; printf "{name}[%s]" "{read}" > $made'
        files.add(name, script, after=after[name], settings=VOLUME)
    return files, after


def text(name: str, after: dict[str, list[str]]) -> str:
    return f"{name}[{''.join(text(of, after) for of in after[name])}]"


def below(names: set[str], after: dict[str, list[str]]) -> set[str]:
    """Tasks, and all that come after them."""
    found = set(names)
    while more := {name for name, of in after.items() if found & set(of)} - found:
        found |= more
    return found


@pytest.fixture
def shared(tmp_path) -> Path:
    """A volume on which every task finds the file that lets it go on."""
    folder = tmp_path / "shared"
    folder.mkdir()
    for number in range(7):
        (folder / f"t{number}").touch()
    return folder


@pytest.mark.parametrize("seed", range(2))
def test_every_task_gets_what_those_before_it_gave_and_only_what_changed_runs_again(
    seed, tmp_path, shared
):
    files, after = graph(seed)
    claims = {"shared": shared}
    seen = files.replay(tmp_path, claims=claims)
    assert seen.in_state("done") == set(after) and seen.code == 0
    for name in after:
        assert seen.path(name).read_text() == text(name, after)
    order = [each.name for each in seen.replayed.ended]
    assert all(order.index(of) < order.index(name) for name in after for of in after[name])
    assert files.replay(tmp_path, claims=claims).in_state("cached") == set(after)
    # What is not cached runs again, and what takes what it makes.
    chance = random.Random(seed)
    uncached, changed = chance.choice(list(after)), chance.choice(list(after))
    files.tasks[uncached]["cachingOptions"] = {}
    files.container(changed)["args"][0] += "\n: changed"
    # What is none of Kubeflow's key changes nothing.
    for name in after:
        files.container(name)["env"] = [{"name": "OTHER", "value": name}]
        files.container(name)["resources"] = {"resourceCpuLimit": "1"}
    seen = files.replay(tmp_path, claims=claims)
    assert seen.in_state("done") == below({uncached, changed}, after)
    # Another image, another claim, and another pipeline share nothing.
    for name in after:
        files.container(name)["image"] = "registry.example/small:2"
    assert files.replay(tmp_path, claims=claims).in_state("done") == set(after)


@pytest.mark.parametrize("seed", range(2, 4))
def test_after_a_failed_task_nothing_is_started_and_the_next_replay_goes_on(seed, tmp_path, shared):
    files, after = graph(seed)
    failing = random.Random(seed).choice(list(after))
    (shared / failing).unlink()
    seen = files.replay(tmp_path, claims={"shared": shared})
    assert seen.code == 7 and "exit code 7" in seen.why and seen.why in seen.printed
    order = [each.name for each in seen.replayed.ended]
    place = order.index(failing)
    assert [seen.states[name] for name in order] == (
        ["done"] * place + ["failed"] + ["not started"] * (len(order) - place - 1)
    )
    (shared / failing).touch()
    seen = files.replay(tmp_path, claims={"shared": shared})
    assert seen.in_state("cached") == set(order[:place])
    assert seen.in_state("done") == set(order[place:])


RETRY = {
    "maxRetryCount": 3,
    "backoffDuration": "0s",
    "backoffFactor": 2,
    "backoffMaxDuration": "3600s",
}
DIES_TWICE = """
echo x >> /mnt/shared/attempts
test $(wc -l < /mnt/shared/attempts) -gt 2 || { echo half > $made; kill -9 $$; }
echo whole > $made
"""


def attempts(shared: Path) -> int:
    return len((shared / "attempts").read_text().split())


def test_a_task_that_dies_twice_is_tried_a_third_time(tmp_path, shared):
    files = Files()
    files.add("dies", DIES_TWICE, settings=VOLUME, retryPolicy=RETRY)
    seen = files.replay(tmp_path, claims={"shared": shared})
    assert seen.states == {"dies": "done"} and seen.path("dies").read_text() == "whole\n"
    assert attempts(shared) == 3 and seen.printed.count("again in 0 s, for its command") == 2


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"maxRetryCount": 1}, 2),
        ({"maxRetryCount": 0}, 1),
        # Kubeflow hands "0" to Argo where it is left out, and Argo then tries nothing again.
        ({"backoffMaxDuration": None}, 1),
        # The second pause would end after it.
        ({"backoffDuration": "1s", "backoffFactor": 100, "backoffMaxDuration": "50s"}, 2),
    ],
    ids=str,
)
def test_retries_end_as_in_argo(change, expected, tmp_path, shared):
    files = Files()
    policy = {key: value for key, value in {**RETRY, **change}.items() if value is not None}
    files.add("dies", DIES_TWICE, settings=VOLUME, retryPolicy=policy)
    seen = files.replay(tmp_path, claims={"shared": shared})
    assert seen.code == 137 and attempts(shared) == expected


def test_a_task_that_takes_too_long_is_ended_with_all_that_it_has_started(tmp_path):
    files = Files()
    mark = f"60.{os.getpid()}"
    files.add(
        "slow", f"setsid sleep {mark} & sleep {mark}", settings={"activeDeadlineSeconds": "1"}
    )
    seen = files.replay(tmp_path)
    assert seen.states == {"slow": "failed"} and "its time limit of 1 s" in seen.why
    assert mark not in subprocess.run(["ps", "ax"], capture_output=True, text=True).stdout


def test_a_repeated_attempt_ends_with_the_maximum_of_the_back_off(tmp_path, shared):
    files = Files()
    script = "echo x >> /mnt/shared/attempts; test $(wc -l < /mnt/shared/attempts) -gt 1; sleep 60"
    policy = {**RETRY, "backoffMaxDuration": "2s"}
    files.add("slow", script, settings=VOLUME, retryPolicy=policy)
    seen = files.replay(tmp_path, claims={"shared": shared})
    assert seen.states == {"slow": "failed"} and attempts(shared) == 2


def test_a_killed_replay_leaves_nothing_that_the_next_takes_for_whole(tmp_path, shared):
    mark = f"61.{os.getpid()}"
    files = Files()
    files.add("first", "echo 1 > $made")
    files.add(
        "second",
        f"mkdir $made; echo half > $made/half; test -e /mnt/shared/go || sleep {mark}; "
        "rm -f $made/half; echo 2 > $made/whole",
        after=["first"],
        settings=VOLUME,
    )
    words = [
        *("-m", "pipeline", "replay", str(files.write(tmp_path))),
        *("--store", str(tmp_path / "store"), "--volume", f"shared={shared}"),
    ]
    run = functools.partial(subprocess.run, capture_output=True, text=True)
    with subprocess.Popen([sys.executable, *words], cwd=REPOSITORY) as replaying:
        try:
            while f"\n{mark}\n" not in run(["ps", "axo", "args"]).stdout.replace("sleep ", ""):
                assert replaying.poll() is None
                time.sleep(0.1)
            beside = run([sys.executable, *words], cwd=REPOSITORY)
        finally:
            replaying.kill()
    assert beside.returncode == 2 and "one run at a time" in beside.stdout
    while mark in run(["ps", "ax"]).stdout:  # The kernel takes a moment.
        time.sleep(0.05)
    (shared / "go").touch()
    after = files.replay(tmp_path, claims={"shared": shared})
    assert after.states == {"first": "cached", "second": "done"}
    assert [path.name for path in after.path("second").iterdir()] == ["whole"]
    assert not list((tmp_path / "store").glob("work-*"))


# === What a replay refuses before anything runs ===


def test_what_is_not_walked_is_refused_by_name(tmp_path):
    files = Files({"text": parameter("STRING", defaultValue="a")})
    files.add("a", "echo 1 > $made")
    files.add("b", "echo 1 > $made", after=["a"], retryPolicy={**RETRY, "backoffFactor": 1.5})
    files.add("c", "echo 1 > $made", inputs={"of": parameter("STRING")},
              values={"of": {"componentInputParameter": "text"}},
              triggerPolicy={"condition": "inputs.parameter_values['of'] == 'a'"})  # fmt: skip
    files.container("a")["args"].append('{"IfPresent": {"InputName": "x", "Then": "y"}}')
    with pytest.raises(ConfigError) as refused:
        files.replay(tmp_path)
    for part in ("a with words that depend", "b with a back-off factor", "c with a condition"):
        assert part in str(refused.value)
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (VOLUME, "--volume shared="),
        ({"secretAsEnv": [{"secretName": "s", "keyToEnv": [{"secretKey": "k", "envVar": "V"}]}]},
         "--secret s/k="),
        ({"secretAsVolume": [{"secretName": "keys", "mountPath": "/keys"}]}, "--volume keys="),
        ({"fieldPathAsEnv": [{"name": "X", "fieldPath": "metadata.name"}]}, "fieldPathAsEnv"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_what_lies_outside_has_to_be_given(settings, named, tmp_path):
    files = Files()
    files.add("a", "echo 1 > $made", settings=settings)
    with pytest.raises(ConfigError, match=named):
        files.replay(tmp_path)
    assert not (tmp_path / "store").exists()


def test_a_root_that_no_launcher_knows_is_refused(tmp_path):
    files = Files()
    files.add("a", "echo 1 > $made")
    with pytest.raises(ConfigError, match="a bucket's address"):
        files.replay(tmp_path, root="/mnt/artifacts")
    seen = files.replay(tmp_path, root="s3://other/place/?region=x")
    assert seen.artifact("a")["uri"].startswith("s3://other/place/small/")
