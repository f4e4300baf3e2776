"""The pictures page: what the model sees, what it says, and how well."""
