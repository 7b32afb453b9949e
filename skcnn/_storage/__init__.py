"""Files: values without code, in an archive that is written at once, by one process at a time."""
