"""Where the real data sets of `image_sets.py` come from: one file for each source."""
