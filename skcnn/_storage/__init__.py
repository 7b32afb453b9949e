"""Files: values without code, in an archive that is written in one step, by one process at a time."""
