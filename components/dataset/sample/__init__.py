"""The embedded sample data set: rendered pictures of six classes."""
