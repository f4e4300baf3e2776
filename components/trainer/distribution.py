"""One device, several GPUs of one machine, or several workers: `tf.distribute` by configuration."""

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator

import keras
import tensorflow as tf

from components.errors import ConfigError
from components.private_names import BuiltBeforeFit


def build_strategy(name: str, batch_size: int) -> tf.distribute.Strategy:
    """The strategy that a configuration names.

    Args:
        name: `one_device`; `mirrored`, every GPU of this machine (without one, every logical CPU
            device); or `multi_worker`, every process that the environment variable `TF_CONFIG`
            lists. Each of them runs the same function; the first is the chief, which writes.
        batch_size: pictures of one step over all replicas.

    Raises:
        ConfigError: `TF_CONFIG` names no workers, or the replicas cannot share the batch evenly.
    """
    if name == "mirrored":
        kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
        devices = [device.name for device in tf.config.list_logical_devices(kind)]
        strategy = tf.distribute.MirroredStrategy(devices)
    elif name == "multi_worker":
        _require_workers()
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    else:
        strategy = tf.distribute.get_strategy()
    replicas = strategy.num_replicas_in_sync
    if batch_size % replicas:
        raise ConfigError(
            f"expected training.batch_size to be a multiple of the {replicas} replicas; got "
            f"{batch_size}; to fix, choose {batch_size // replicas * replicas or replicas}"
        )
    return strategy


def _require_workers() -> None:
    text = os.environ.get("TF_CONFIG", "")
    try:
        workers = json.loads(text)["cluster"]["worker"]
    except (ValueError, KeyError, TypeError):
        workers = []
    if not workers:
        raise ConfigError(
            "expected TF_CONFIG with the addresses of the workers and the index of this one for "
            f"training.distribution=multi_worker; got {text or 'none'}; to fix, set it in every "
            "worker's environment, or choose mirrored or one_device"
        )


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process is the one that writes what outlives the training."""
    resolver = strategy.cluster_resolver
    cluster = resolver.cluster_spec().as_dict() if resolver else {}
    if not cluster:
        return True
    chief = "chief" if "chief" in cluster else "worker"
    return (resolver.task_type, resolver.task_id) == (chief, 0)


@contextlib.contextmanager
def own_folder(strategy: tf.distribute.Strategy, folder: str) -> Iterator[str]:
    """`folder` for the chief, and for the others a folder that goes when the context closes.

    What replicas average when it is read (batch normalization statistics) can be saved only if all
    workers save at once, each to a place of its own.
    """
    if is_chief(strategy):
        yield folder
    else:
        with tempfile.TemporaryDirectory() as elsewhere:
            yield elsewhere


def fitted(model: keras.Model, strategy: tf.distribute.Strategy) -> keras.Model:
    """The model to call `compile` and `fit` on; it shares its layers with `model`."""
    if strategy.num_replicas_in_sync > 1:
        return _Replicated(model.inputs, model.outputs, name=model.name)
    return model


class _Replicated(BuiltBeforeFit, keras.Model):
    """A model whose `fit` works on several replicas.

    Keras' own functions add up batches and logs of the replicas in a way that fails under several
    workers (keras-team/keras issue 20585), and on one machine where the last batch is smaller for
    one replica than for another. Here no batches are added up, and `Strategy.reduce` adds up
    counts among the logs and averages the rest.
    """

    def make_train_function(self, force: bool = False):
        """The hook that Keras gives subclasses, see `keras.Model.fit`."""
        if force or self.train_function is None:
            self.train_function = self._on_replicas(self.train_step)
        return self.train_function

    def make_test_function(self, force: bool = False):
        """The hook that Keras gives subclasses, see `keras.Model.evaluate`."""
        if force or self.test_function is None:
            self.test_function = self._on_replicas(self.test_step)
        return self.test_function

    def _on_replicas(self, step):
        strategy = self.distribute_strategy

        def total(log):
            # Whole numbers are counts, of which there is no mean.
            is_count = strategy.experimental_local_results(log)[0].dtype.is_integer
            return strategy.reduce("SUM" if is_count else "MEAN", log, axis=None)

        def step_on_replica(batch):
            return tf.nest.map_structure(tf.convert_to_tensor, step(batch))

        @tf.function(reduce_retracing=True)
        def run(batch):
            logs = strategy.run(step_on_replica, args=(batch,))
            return tf.nest.map_structure(total, logs)

        return lambda iterator: run(next(iterator))
