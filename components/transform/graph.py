"""The Transform graph, cut down to what is asked of it."""

from collections.abc import Collection, Iterable, Mapping

import tensorflow as tf
import tensorflow_transform as tft


class TransformGraph:
    """Computes some outputs of the Transform graph, and nothing else.

    The layer that TensorFlow Transform offers computes them all: a server would look for the masks
    that nobody sent.
    """

    def __init__(self, transform_output: tft.TFTransformOutput):
        loaded = tf.saved_model.load(transform_output.transform_savedmodel_dir)
        function = loaded.transform_fn
        (signature,), _ = function.structured_input_signature
        self._inputs = dict(zip(sorted(signature), function.inputs, strict=True))
        names = sorted(function.structured_outputs)
        self._outputs = dict(zip(names, function.outputs, strict=True))
        self._graph = function.graph.as_graph_def()

    # Traced as it stands: it runs while a graph is made, not within it.
    @tf.autograph.experimental.do_not_convert
    def __call__(
        self, inputs: Mapping[str, tf.Tensor], outputs: Collection[str]
    ) -> dict[str, tf.Tensor]:
        """Adds what these outputs need to the graph that is being traced.

        Args:
            inputs: raw features `[B, 1]` by name.
            outputs: names of outputs, see `preprocessing`.

        Raises:
            ValueError: an output needs an input that is not given.
        """
        graph = _needed(self._graph, (self._outputs[name].op.name for name in outputs))
        present = {node.name for node in graph.node}
        needed = {name for name, tensor in self._inputs.items() if tensor.op.name in present}
        if missing := needed - inputs.keys():
            raise ValueError(
                f"expected the inputs {', '.join(sorted(needed))} for {', '.join(outputs)}; got "
                f"none of {', '.join(sorted(missing))}; to fix, give them"
            )
        fed = {self._inputs[name].name: inputs[name] for name in needed}
        computed = tf.graph_util.import_graph_def(
            graph, fed, [self._outputs[name].name for name in outputs], name="transform"
        )
        for name, tensor in zip(outputs, computed, strict=True):
            tensor.set_shape(self._outputs[name].shape)
        return dict(zip(outputs, computed, strict=True))


def _needed(graph: tf.compat.v1.GraphDef, names: Iterable[str]) -> tf.compat.v1.GraphDef:
    """The part of a graph that some of its nodes are computed from."""
    nodes = {node.name: node for node in graph.node}
    part = tf.compat.v1.GraphDef()
    part.CopyFrom(graph)
    part.ClearField("node")
    waiting, seen = list(names), set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        node = part.node.add()
        node.CopyFrom(nodes[name])
        # A function waits for all that it holds, needed or not, by inputs that start with "^" and
        # come last. Nothing here has an effect that must be waited for.
        del node.input[sum(not source.startswith("^") for source in node.input) :]
        waiting += (source.split(":")[0] for source in node.input)
    return part
