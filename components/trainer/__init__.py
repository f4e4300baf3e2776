"""Trains the network: options, input, optimization, and the function that TFX's Trainer calls."""
