"""The data before training: what a folder of TFRecords holds, as one HTML page."""
