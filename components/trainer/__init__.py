"""Trains the network: options, augmentation, optimization and the component around them."""
