"""What an app has to know of the files, as JSON beside them."""

import json
from collections.abc import Mapping

from components.tflite.interpreter import Interpreter
from components.tflite.network import IMAGE, SCORES
from schemas import Dataset

FILE = "contract.json"

_IMAGE = (
    "red, green, blue from 0 to 255 of an upright picture, shrunk with antialiasing to fit if it "
    "is larger, never enlarged, at the top left of the canvas; 127.5 (128 in integers) elsewhere"
)
_SCORES = (
    "class scores of the whole canvas; integers mean scale * (value - zero_point); enlarge these, "
    "bilinearly, to the size of the picture, then take the class of the highest"
)
_ENLARGE = {
    True: "pixel i of n, with m of them inside the canvas of side S and h scores, lies among the "
    "scores at clip((i + 0.5) * m / n - 0.5, 0, m - 1) * (h - 1) / (S - 1): aligned corners",
    False: "pixel i of n, with m of them inside the canvas of side S and h scores, lies among the "
    "scores at min(clip((i + 0.5) * m / n - 0.5, 0, m - 1) * h / S, h - 1)",
}


def file_name(kind: str) -> str:
    """Of the file of a kind."""
    return f"{kind}.tflite"


def contract(dataset: Dataset, networks: Mapping[str, Interpreter], *, align_corners: bool) -> str:
    """JSON: labels, sizes, how to fill the canvas and to read the scores, and each file.

    Args:
        dataset: whose classes the scores are of.
        networks: the files, by kind.
        align_corners: how the network enlarges, see `models.layers.ResizeBilinear`.
    """
    described = {
        "labels": list(dataset.class_names),
        IMAGE: _IMAGE,
        SCORES: _SCORES,
        "align_corners": align_corners,
        "enlarge": _ENLARGE[align_corners],
        "files": {
            file_name(kind): {IMAGE: _tensor(each.input), SCORES: _tensor(each.output)}
            for kind, each in networks.items()
        },
    }
    return json.dumps(described, indent=2)


def _tensor(details: dict) -> dict:
    scale, zero_point = details["quantization"]
    numbers = {"scale": scale, "zero_point": zero_point} if scale else {}
    return {"shape": details["shape"].tolist(), "dtype": details["dtype"].__name__, **numbers}
