"""The judged network for phones: TensorFlow Lite files, measured beside the model they are of."""
