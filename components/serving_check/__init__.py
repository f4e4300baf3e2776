"""The proof that the exported model serves: a fresh process, TensorFlow's own loader, real files."""
