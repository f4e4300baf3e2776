"""Where the weights that a network begins with come from."""
