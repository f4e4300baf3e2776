"""A file for phones, run on this machine's CPU by TensorFlow Lite's own interpreter.

`tf.lite` is part of TensorFlow 2.16, on which this was run. TensorFlow 2.20 has it, too, and says
that a later one will not: its interpreter goes on as `ai-edge-litert`, under the same names. All
that is used of it is in this module, in `network` and in `components.private_names`.
"""

import time

import numpy as np
import tensorflow as tf


class Interpreter:
    """Pixels to scores.

    Args:
        content: the bytes of a file, see `components.tflite.network` for its contract.
        threads: to compute with.

    Raises:
        ValueError, RuntimeError: the interpreter does not take the file.
    """

    def __init__(self, content: bytes, threads: int):
        self._interpreter = tf.lite.Interpreter(model_content=content, num_threads=threads)
        self._interpreter.allocate_tensors()
        (self.input,) = self._interpreter.get_input_details()
        (self.output,) = self._interpreter.get_output_details()
        self.seconds: list[float] = []
        """Of each call, without what is done to the numbers before and after."""

    def scores(self, pixels: np.ndarray) -> np.ndarray:
        """Runs the network once.

        Args:
            pixels: float32 `[1, S, S, 3]`, 0 to 255.

        Returns:
            float32 `[1, h, w, C]`.
        """
        self._interpreter.set_tensor(self.input["index"], _quantized(pixels, self.input))
        start = time.perf_counter()
        self._interpreter.invoke()
        self.seconds.append(time.perf_counter() - start)
        found = self._interpreter.get_tensor(self.output["index"])
        if found.dtype == np.float32:
            return found
        scale, zero_point = self.output["quantization"]
        return np.float32(scale) * (found.astype(np.float32) - zero_point)


def _quantized(values: np.ndarray, tensor: dict) -> np.ndarray:
    if tensor["dtype"] == np.float32:
        return values
    scale, zero_point = tensor["quantization"]
    limits = np.iinfo(tensor["dtype"])
    return np.clip(np.rint(values / scale + zero_point), limits.min, limits.max).astype(
        tensor["dtype"]
    )
