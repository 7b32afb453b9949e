"""Doctests: the pages, but not what builds the site, which needs Sphinx, nor its copies of the examples."""

collect_ignore_glob = ["_build/*", "_extensions/*", "conf.py", "gallery/*", "how_it_works/figures/*", "picture.py"]
