"""Mean IoU, IoU of each class and pixel accuracy for TensorFlow Model Analysis, and its gate."""
