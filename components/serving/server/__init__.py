"""A stand-in for TensorFlow Serving, over the loader that it has: for trying and for tests.

No registry ships the server. This one takes its flags, folders, configuration, requests and
answers, as they are documented and read in its sources; it does no batching, and it is no
production server.
"""
