"""What the training split measures, as training needs it: from the sums that the data gate made.

It lies beside the Transform graph. An analyzer in the graph would decode every picture again for
the same numbers.
"""

import json
from typing import Any

from components.dataset.examination.measures import Measures
from components.storage import paths

FILE = "statistics.json"
"""In the artifact of the Transform graph."""


def training_statistics(measures: Measures, num_classes: int, ignore_label: int) -> dict[str, Any]:
    """The sums over a split by name.

    Returns:
        `num_pictures`; `class_pixels`, a list of pixel counts by class id; `ignored_pixels`
        (ignore label and labels out of range); `channel_mean` and `channel_variance` of the
        values 0-255 of red, green and blue, in this order.
    """
    pixels = int(measures.pixels_256.sum())
    counted = measures.pixels_256.tolist()
    histogram = [0 if i == ignore_label else counted[i] for i in range(num_classes)]
    # Exact sums, as Python's integers, whose quotient is the float nearest to the true one.
    sums = measures.channels.tolist()
    mean = [total / pixels for total in sums[:3]]
    return {
        "num_pictures": measures.records,
        "class_pixels": histogram,
        "ignored_pixels": pixels - sum(histogram),
        "channel_mean": mean,
        "channel_variance": [
            total / pixels - average**2 for total, average in zip(sums[3:], mean, strict=True)
        ],
    }


def write_statistics(folder: str, statistics: dict[str, Any]) -> None:
    """Writes them into the folder of a Transform graph, here or in a bucket."""
    paths.write_text(paths.join(folder, FILE), json.dumps(statistics))


def read_statistics(folder: str) -> dict[str, Any]:
    """What `write_statistics` wrote into this folder."""
    return json.loads(paths.read_text(paths.join(folder, FILE)))
