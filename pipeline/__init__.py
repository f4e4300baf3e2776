"""The pipeline: its configuration, its recipes and its graph, for every runner the same."""
