"""How a server joins requests to a model: a file in the version, read by TensorFlow Serving.

With `--enable_batching --enable_per_model_batching_parameters` it looks for it in the SavedModel's
own folder; a model without it is not batched. Threads are the server's, see `deploy/serving`.
"""

from collections.abc import Sequence

FILE = "batching_params.pbtxt"
"""Its name in the folder of the SavedModel."""


def parameters(batch_sizes: Sequence[int], timeout_micros: int) -> str:
    """The file's text, `tensorflow.serving.BatchingParameters`.

    `pad_variable_length_inputs` stays off: it would fill a picture up with its first pixel.

    Args:
        batch_sizes: in growing order; a batch is filled up to the next of them.
        timeout_micros: so long a request waits for others, in microseconds.
    """
    sizes = "".join(f"allowed_batch_sizes: {size}\n" for size in batch_sizes)
    return (
        f"max_batch_size {{ value: {batch_sizes[-1]} }}\n"
        f"batch_timeout_micros {{ value: {timeout_micros} }}\n"
        # Beyond it requests are refused at once, and a client tries another server.
        f"max_enqueued_batches {{ value: 64 }}\n{sizes}"
    )
