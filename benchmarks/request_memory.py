"""Peak memory of one request to a served model, above what the loaded model holds.

    python -m benchmarks.request_memory MODEL [KIND …] [--side PIXELS]

Each kind of file is sent in a process of its own, behind a small warm-up request. Prints a line of
JSON for each: bytes of the file, of the decoded picture, of the peak, and what was answered.
"""

import argparse
import io
import json
import subprocess
import sys
import threading
import time

import numpy as np
import psutil
from PIL import Image

KINDS = {
    "PNG": ("RGB", "PNG", {"compress_level": 1}),
    "1-bit PNG": ("1", "PNG", {}),
    "JPEG": ("RGB", "JPEG", {}),
    "turned JPEG": ("RGB", "JPEG", {"exif": "turned"}),
    "progressive JPEG": ("RGB", "JPEG", {"progressive": True}),
    "progressive JPEG of full colour": ("RGB", "JPEG", {"progressive": True, "subsampling": 0}),
    "GIF": ("P", "GIF", {}),
    "BMP": ("RGB", "BMP", {}),
    "palette BMP": ("P", "BMP", {}),
}


def picture(kind: str, side: int) -> bytes:
    """A square picture file of this kind."""
    mode, file_format, options = KINDS[kind]
    if "exif" in options:
        tags = Image.Exif()
        tags[0x0112] = 6
        options = {"exif": tags}
    small = np.random.default_rng(0).integers(0, 256, (side // 16, side // 16, 3), np.uint8)
    image = Image.fromarray(small).resize((side, side)).convert(mode)
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def measure(model: str, kind: str, side: int) -> dict:
    """Sends one picture, and watches the memory of this process meanwhile."""
    import tensorflow as tf

    encoded, warm_up = picture(kind, side), picture("PNG", 64)
    serve = tf.saved_model.load(model).signatures["serving_default"]
    serve(image_bytes=tf.constant([warm_up]))
    process = psutil.Process()
    before = process.memory_info().rss
    peak, done = before, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.is_set():
            peak = max(peak, process.memory_info().rss)
            time.sleep(0.002)

    watcher = threading.Thread(target=watch)
    watcher.start()
    reply = serve(image_bytes=tf.constant([encoded]))
    done.set()
    watcher.join()
    return {
        "kind": kind,
        "file": len(encoded),
        "decoded": 3 * side * side,
        "peak": peak - before,
        "error": reply["error"].numpy()[0].decode(),
    }


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="folder of a pushed version")
    parser.add_argument("kinds", nargs="*", default=list(KINDS), metavar="KIND")
    parser.add_argument("--side", type=int, default=6000, help="of the square pictures, in pixels")
    arguments = parser.parse_args()
    if len(arguments.kinds) == 1:
        measured = measure(arguments.model, *arguments.kinds, arguments.side)
        sys.stdout.write(json.dumps(measured) + "\n")
        return
    for kind in arguments.kinds:
        command = [sys.executable, "-m", __spec__.name, arguments.model, kind]
        subprocess.run([*command, "--side", str(arguments.side)], check=True)


if __name__ == "__main__":
    main()
