"""All that we use of libraries below their public interface, each with its reason.

A release of a library may rename any of it; `tests/components/test_private_names.py` then says
which, on the versions that are installed.
"""


def write_transform_function(function, features, folder) -> None:
    """Writes a function of raw features, which needs no pass over data, as TensorFlow Transform's.

    Its public way, `tft_beam.AnalyzeDataset`, starts several Beam pipelines for it and takes three
    times as long; TFX's component calls this one, where it sees that no data are needed.

    Args:
        function: dict of tensors `[B, …]` to such a dict, without analyzers.
        features: `tf.io.FixedLenFeature` of its inputs by name.
        folder: what `tft.TFTransformOutput` reads.
    """
    # Imported here, as everything heavy: Keras' part is needed without it.
    import tensorflow as tf
    from tensorflow_transform import impl_helper

    specs = {
        name: tf.TensorSpec([None, *each.shape], each.dtype) for name, each in features.items()
    }
    impl_helper.analyze_in_place(function, False, features, specs, folder)


def tflite_operators(content: bytes) -> list[tuple[str, str]]:
    """Name and type of the first result of every operator in a TensorFlow Lite file.

    Its public analyzer only prints, to the standard output.

    Args:
        content: the bytes of the file.
    """
    import tensorflow as tf

    plain = tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = tf.lite.Interpreter(model_content=content, experimental_op_resolver_type=plain)
    types = {each["index"]: each["dtype"].__name__ for each in interpreter.get_tensor_details()}
    found = interpreter._get_ops_details()
    return [(each["op_name"], types[each["outputs"][0]]) for each in found]


class BuiltBeforeFit:
    """Mixed into a Keras model that is built already: `fit` and `evaluate` build nothing.

    Under a distribution strategy Keras adds up the first batch of all replicas to build the model
    from it, which fails under several workers (keras-team/keras issue 20585) and wherever the
    replicas' batches differ in size. A functional model is built, and metrics build themselves.
    """

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        del iterator, data_batch


def variable_index(optimizer, variable) -> int:
    """The place of a variable in the list that `optimizer.build` was called with.

    `update_step` is called with TensorFlow's variable, under a strategy with one replica's part of
    it; neither has the path of the Keras variable, and the optimizer's own look-up knows both.
    """
    return optimizer._get_variable_index(variable)
