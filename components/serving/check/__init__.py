"""Proves that the exported model serves: fresh process, TensorFlow's own loader, real files."""
