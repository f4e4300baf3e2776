"""Runs in a process of its own: loads a SavedModel as a server does and sends it requests.

The v1 session loader restores variables by running the graph, as the C++ loader in TF Serving
does; `tf.saved_model.load` rebuilds Python objects and hides models that no server can load. This
file imports nothing of the project: what it proves must not depend on the code that made the model.

    python probe.py MODEL REQUESTS REPLIES

REQUESTS is a JSON list of objects `{"signature": …, "input": …, "values": [base64, …]}`. REPLIES
is written as the list of what came back, `{output: {"shape": […], "values": […]}}` with bytes in
base64.
"""

import base64
import json
import sys

import tensorflow.compat.v1 as tf


def main(model: str, requests_path: str, replies_path: str) -> None:
    """Loads `model`, answers every request, writes the replies."""
    with open(requests_path) as file:
        requests = json.load(file)
    replies = []
    with tf.Session(graph=tf.Graph()) as session:
        meta_graph = tf.saved_model.loader.load(
            session, [tf.saved_model.tag_constants.SERVING], model
        )
        for request in requests:
            signature = meta_graph.signature_def[request["signature"]]
            values = [base64.b64decode(value) for value in request["values"]]
            outputs = session.run(
                {name: info.name for name, info in signature.outputs.items()},
                {signature.inputs[request["input"]].name: values},
            )
            replies.append({name: _to_json(array) for name, array in outputs.items()})
    with open(replies_path, "w") as file:
        json.dump(replies, file)


def _to_json(array) -> dict:
    values = [
        base64.b64encode(value).decode() if isinstance(value, bytes) else value
        for value in array.ravel().tolist()
    ]
    return {"shape": list(array.shape), "values": values}


if __name__ == "__main__":
    main(*sys.argv[1:])
