"""The gate that stops a run on bad data: schema anomalies, and a look into every record."""
