"""Data sets as records: where they come from, how they are written and checked."""
