"""What a served model meets: logs of requests, and how far they are from the data behind it."""
