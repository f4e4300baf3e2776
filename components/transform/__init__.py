"""One TensorFlow Transform graph that prepares pictures for training and for serving."""
