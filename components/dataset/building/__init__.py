"""From pictures and masks to records: layouts, file formats, the conversion itself."""
