"""TFX's import of records, with memory that stays flat."""
