"""ML Metadata: one record of everything that ran, on this machine or on a cluster."""
