"""What a pushed version says of itself, so that others can check it: signed, listed, attested.

`assets.extra` of every version has a bill of materials and an attestation, and a signature where a
key is configured. TensorFlow Serving leaves that folder alone. Nothing here imports TensorFlow.
"""
