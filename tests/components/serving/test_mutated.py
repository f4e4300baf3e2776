"""Mutated pictures against a served network: an answer for each, and no growth."""

import io
import random

import numpy as np
import psutil
import pytest
from PIL import Image

from components.serving.check import checks
from components.serving.client import Client
from tests.mutations import FACTOR

pytestmark = pytest.mark.slow

ROUNDS, BATCH = 40 * FACTOR, 25


def pictures() -> list[bytes]:
    """Every kind of file that a model takes, small ones."""
    pixels = np.random.default_rng(4).integers(0, 256, (24, 31, 3), np.uint8)
    files = []
    for kind, options in (
        *(("JPEG", {}), ("JPEG", {"progressive": True}), ("PNG", {}), ("GIF", {}), ("BMP", {})),
        *(("JPEG", {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"}),),
    ):
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, kind, **options)
        files.append(file.getvalue())
    return files


def mutated(chance: random.Random, file: bytes) -> bytes:
    """Some bytes changed, cut out, doubled, or the file cut off."""
    changed = bytearray(file)
    for _ in range(chance.randint(1, 8)):
        place = chance.randrange(len(changed))
        match chance.randrange(4):
            case 0:
                changed[place] = chance.randrange(256)
            case 1:
                del changed[place : place + chance.randint(1, 20)]
            case 2:
                changed[place:place] = changed[place : place + chance.randint(1, 20)]
            case 3:
                # Often a size, a length or a marker in a header.
                place = chance.randrange(min(len(changed), 60))
                changed[place] = chance.choice((0, 1, 0x7F, 0xFF))
        if len(changed) < 2:
            break
    return bytes(changed[: chance.randrange(len(changed))] if chance.random() < 0.1 else changed)


def test_every_mutated_picture_gets_a_mask_or_an_error(exported_model):
    chance, good = random.Random(8), pictures()
    with checks._server(exported_model, None) as server:
        server.wait_until_available(120)
        clients = [Client(a, server.model) for a in (server.rest_address, server.grpc_address)]
        process, kinds = psutil.Process(server.process.pid), set()
        for number in range(ROUNDS):
            sent = [mutated(chance, chance.choice(good)) for _ in range(BATCH)] + good
            answers = clients[number % 2].segment(sent)
            for answer in answers:
                assert bool(answer.mask) != bool(answer.error), answer
                kinds.add(bool(answer.mask))
            assert not any(answer.error for answer in answers[BATCH:])
            if number == 10:
                before = process.memory_info().rss
        assert kinds == {True, False}
        assert process.memory_info().rss - before < 200e6
        assert process.is_running()
