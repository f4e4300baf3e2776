"""Trains a few steps on made-up pictures: `python -m pipeline.trial SECONDS < trainer_config.json`.

A process of its own, so that what a step needs of time and memory is measured apart. It prints a
line of JSON for the device and one after each step, so that whoever ends it early has those.
"""

import json
import resource
import sys
import time

MEASURED = 3
"""Steps after the first one, which also compiles the graph."""


def main(config_json: str, seconds: float) -> None:
    """Builds the network that is configured and trains it; no step begins after `seconds`."""
    import keras
    import tensorflow as tf

    from components.trainer.options import TrainerConfig
    from components.trainer.run import compile_network
    from models import DeepLabV3Plus

    started = time.monotonic()
    config = TrainerConfig.from_json(config_json)
    options, num_classes = config.training, config.dataset.num_classes
    gpus = tf.config.list_physical_devices("GPU")
    _say(device="GPU" if gpus else "CPU")
    side = options.crop_size or config.canvas_size
    network = DeepLabV3Plus(
        dtype=options.mixed_precision, **config.model.arguments(num_classes, side)
    )
    statistics = {"class_pixels": [1] * num_classes}
    compile_network(network, network, options, config.dataset, statistics)
    random = tf.random.Generator.from_seed(0)
    shape = (options.batch_size, side, side)
    pictures = tf.data.Dataset.from_tensors(
        (
            random.uniform((*shape, 3), -1.0, 1.0),
            random.uniform(shape, 0, num_classes, dtype=tf.int64),
        )
    )

    class Clock(keras.callbacks.Callback):
        """Says what each step took."""

        def on_train_batch_begin(self, batch, logs=None):
            self.began = time.monotonic()

        def on_train_batch_end(self, batch, logs=None):
            float(logs["loss"])  # Waits for a device that works ahead.
            now = time.monotonic()
            _say(seconds=now - self.began, bytes=_peak_memory(gpus))
            if now - started > seconds:
                sys.exit()

    network.fit(
        pictures.repeat(), steps_per_epoch=1 + MEASURED, epochs=1, callbacks=[Clock()], verbose=0
    )


def _peak_memory(gpus: list) -> int:
    """Bytes: of the GPU's memory where there is one, or of this process."""
    if gpus:
        import tensorflow as tf

        return tf.config.experimental.get_memory_info("GPU:0")["peak"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def _say(**values) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.stdin.read(), float(sys.argv[1]))
