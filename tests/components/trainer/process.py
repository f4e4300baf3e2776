"""Trains in a process of its own: `python process.py ARGUMENTS.json CPU_DEVICES`.

A process that can be killed, that has several logical devices, or that is one of several workers.
"""

import json
import sys
import types

import components  # noqa: F401 - first, as in all that starts a training

# isort: split
import tensorflow as tf
from absl import logging

from components.trainer.run import run_fn

if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        arguments = types.SimpleNamespace(**json.load(file))
    cpu = tf.config.list_physical_devices("CPU")[0]
    devices = [tf.config.LogicalDeviceConfiguration()] * int(sys.argv[2])
    tf.config.set_logical_device_configuration(cpu, devices)
    logging.use_absl_handler()
    logging.set_verbosity(logging.INFO)
    run_fn(arguments)
