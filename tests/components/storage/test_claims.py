"""Of many that claim a name of a store at once, one at most has it, in whatever order they come."""

import itertools
import random
import threading
import time
import uuid

import pytest

from components.storage import claims, paths


@pytest.fixture
def folder() -> str:
    return f"ram://claims/{uuid.uuid4().hex}"


def test_a_claim_is_alone_until_another_comes_and_leaves_nothing(folder):
    with claims.claimed(folder, "7") as is_own:
        assert is_own and claims.claimed_names(folder) == ["7"]
        with claims.claimed(folder, "8") as is_other:
            assert is_other
        with claims.claimed(folder, "7") as is_own_too:
            assert not is_own_too
    assert paths.list_folder(folder) == []


@pytest.mark.parametrize("name", ["7", "77"])
def test_names_that_begin_alike_are_different(folder, name):
    with claims.claimed(folder, "7" if name == "77" else "77"):
        with claims.claimed(folder, name) as is_own:
            assert is_own


def test_a_claim_that_was_left_blocks_its_name_alone_until_it_is_forgotten(folder):
    paths.make_folder(folder)
    paths.write_bytes(f"{folder}/.claim-7-{uuid.uuid4().hex}", b"")
    for name, expected in (("7", False), ("8", True)):
        with claims.claimed(folder, name) as is_own:
            assert is_own == expected
    claims.forget(folder, ["7"])
    with claims.claimed(folder, "7") as is_own:
        assert is_own


def test_who_is_forgotten_meanwhile_ends_without_an_error(folder):
    with claims.claimed(folder, "7"):
        claims.forget(folder, ["7"])
    assert paths.list_folder(folder) == []


@pytest.mark.parametrize("claimants", [2, 3])
def test_in_every_order_of_writing_and_listing_one_at_most_has_the_name(claimants, monkeypatch):
    """Each writes, then lists; all orders of these steps among them are gone through."""
    steps = [index for index in range(claimants) for _ in range(2)]
    turn = threading.local()
    for name in ("write_bytes", "list_folder"):
        real = getattr(paths, name)

        def when_it_is_due(*arguments, real=real):
            turn.go.acquire()
            try:
                return real(*arguments)
            finally:
                turn.done.release()

        monkeypatch.setattr(claims.paths, name, when_it_is_due)

    def claim(folder, go, done, owned):
        turn.go, turn.done = go, done
        with claims.claimed(folder, "7") as is_own:
            owned.append(is_own)
            go.acquire()  # Until all have listed.

    counts = set()
    for order in set(itertools.permutations(steps)):
        folder = f"ram://claims/{uuid.uuid4().hex}"
        gates = [(threading.Semaphore(0), threading.Semaphore(0)) for _ in range(claimants)]
        owned: list[bool] = []
        threads = [threading.Thread(target=claim, args=[folder, *g, owned]) for g in gates]
        for thread in threads:
            thread.start()
        for index in order:
            go, done = gates[index]
            go.release()
            done.acquire()
        for go, _ in gates:
            go.release()
        for thread in threads:
            thread.join()
        counts.add(sum(owned))
    assert counts == {0, 1}


def test_who_waits_for_a_turn_gets_it_and_nobody_beside(folder):
    at_work, most, done = 0, 0, 0

    def work() -> None:
        nonlocal at_work, most, done
        for _ in range(5):
            with claims.turn(folder, "models.config"):
                at_work += 1
                most = max(most, at_work)
                time.sleep(0.001)
                at_work -= 1
                done += 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, done) == (1, 20)
    assert paths.list_folder(folder) == []


def test_a_turn_that_a_killed_process_never_ends_is_ended(folder):
    paths.make_folder(folder)
    paths.write_bytes(f"{folder}/.claim-x-{uuid.uuid4().hex}", b"")
    with claims.turn(folder, "x", patience=0.1):
        assert len(paths.list_folder(folder)) == 1
    assert paths.list_folder(folder) == []


def test_of_many_at_once_one_at_most_has_a_name(folder):
    names = [str(number) for number in range(5)]
    holders: dict[str, int] = dict.fromkeys(names, 0)
    most: dict[str, int] = dict.fromkeys(names, 0)
    lock = threading.Lock()

    def work(seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(40):
            name = rng.choice(names)
            with claims.claimed(folder, name) as is_own:
                if not is_own:
                    continue
                with lock:
                    holders[name] += 1
                    most[name] = max(most[name], holders[name])
                with lock:
                    holders[name] -= 1

    threads = [threading.Thread(target=work, args=[seed]) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(most.values()) == {1}
    assert paths.list_folder(folder) == []
