"""The gate that stops a run on bad data: schema anomalies, and an examination of every record."""
