"""Files and folders, here or in a bucket: fetched, unpacked, written whole or not at all."""
