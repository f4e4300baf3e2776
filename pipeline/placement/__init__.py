"""What steps ask of a cluster, and the rules of the names in it."""
