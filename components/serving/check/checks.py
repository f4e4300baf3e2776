"""What a served model must answer: plain functions, no TFX."""

import base64
import io
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from components import texts
from components.dataset import records
from components.dataset.decoding.image import decode_image
from components.dataset.limits import DEFAULT
from components.errors import ServingError
from components.serving import signatures
from components.storage import paths

_PROBE = Path(__file__).with_name("probe.py")
_NOT_A_PICTURE = b"these bytes are not a picture"


def check_serving(
    model: str, examples: list[bytes], num_classes: int, timeout_seconds: int
) -> dict:
    """Loads `model` in a fresh process and sends it the pictures of `examples`, and one bad file.

    All pictures go in one batch, whatever their sizes. Checked are: the model loads; each mask is
    a PNG as large as its picture with known classes; the file that is no picture gets an error and
    fails no other; the evaluation signature counts labelled pixels.

    Args:
        model: folder of the SavedModel; of one in a store, a copy on this machine is loaded.
        examples: serialized records.
        num_classes: the number of classes that a mask may hold.
        timeout_seconds: for loading and answering together.

    Returns:
        What was measured: `pictures`, `sizes`.

    Raises:
        ServingError: naming what was expected and what came.
    """
    parsed = [tf.train.Example.FromString(example).features.feature for example in examples]
    pictures = [features[records.IMAGE].bytes_list.value[0] for features in parsed]
    served, evaluated, sliced = _ask(
        model,
        [
            (signatures.SERVING, signatures.IMAGE_BYTES, [*pictures, _NOT_A_PICTURE]),
            (signatures.EVALUATE, signatures.EXAMPLES, examples),
            (signatures.SLICES, signatures.EXAMPLES, examples),
        ],
        timeout_seconds,
    )
    masks = [base64.b64decode(value) for value in served[signatures.MASK_BYTES]["values"]]
    errors = [base64.b64decode(value) for value in served[signatures.ERROR]["values"]]
    if masks[-1] or not errors[-1]:
        raise ServingError(
            "expected an error and no mask for a file that is no picture; got "
            f"a mask of {texts.counted(len(masks[-1]), 'byte')} and the error {errors[-1]!r}; "
            "to fix, see the serving signature"
        )
    sizes = []
    for picture, mask, error in zip(pictures, masks[:-1], errors[:-1], strict=True):
        if error:
            raise ServingError(f"expected a mask for a picture of the data; got {error.decode()}")
        sizes.append(_check_mask(picture, mask, num_classes))
    matrices = np.reshape(
        evaluated[signatures.CONFUSION_MATRIX]["values"], [len(examples), num_classes, num_classes]
    )
    # A single picture may have none: masks of nothing can be accepted at the data gate.
    if not matrices.any():
        raise ServingError(
            f"expected labelled pixels in {texts.counted(len(examples), 'picture')} from the "
            "evaluation signature; got confusion matrices of zeros; to fix, see that signature"
        )
    if any(len(output["values"]) != len(examples) for output in sliced.values()):
        raise ServingError(
            f"expected {texts.counted(len(examples), 'value')} of every slice; got {sliced}"
        )
    return {"pictures": len(pictures), "sizes": sorted(set(sizes))}


def _ask(model: str, requests: list[tuple[str, str, list[bytes]]], timeout: int) -> list[dict]:
    """The replies of a fresh process to `(signature, input, values)` requests."""
    with tempfile.TemporaryDirectory() as folder:
        local = model
        if paths.is_remote(model):
            local = os.path.join(folder, "model")
            paths.copy_tree(model, local)
        sent, received = Path(folder, "requests.json"), Path(folder, "replies.json")
        sent.write_text(
            json.dumps(
                [
                    {
                        "signature": signature,
                        "input": name,
                        "values": [base64.b64encode(value).decode() for value in values],
                    }
                    for signature, name, values in requests
                ]
            )
        )
        try:
            done = subprocess.run(
                [sys.executable, str(_PROBE), local, str(sent), str(received)],
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ServingError(
                f"expected the model to load and answer within {timeout} s; got no answer; "
                "to fix, raise serving.timeout_seconds or see why it hangs"
            ) from error
        if done.returncode:
            reason = next(
                (line for line in reversed(done.stderr.splitlines()) if "Error" in line),
                done.stderr.strip()[-500:] or f"exit status {done.returncode}",
            )
            raise ServingError(
                f"expected {model} to load and answer in a fresh process; got {reason}; "
                "to fix, see the export in components/serving/signatures.py"
            )
        return json.loads(received.read_text())


def _check_mask(picture: bytes, mask: bytes, num_classes: int) -> tuple[int, int]:
    """Width and height of the mask, which are those of the picture."""
    ids = np.asarray(Image.open(io.BytesIO(mask)))
    size = tuple(decode_image(picture, DEFAULT).pixels.shape[:2])
    if ids.shape != size:
        raise ServingError(f"expected a mask of height and width {size}; got {ids.shape}")
    if ids.max() >= num_classes:
        raise ServingError(f"expected classes 0-{num_classes - 1} in a mask; got {ids.max()}")
    return size[1], size[0]
