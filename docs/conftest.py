"""Doctests: the pages, but not the code that draws their figures, which has tests of its own and needs Matplotlib."""

collect_ignore_glob = ["_extensions/*", "how_it_works/figures/*"]
