"""Doctests: the pages, but not what builds the site, which needs Sphinx, nor its copies of the examples."""

from importlib.util import find_spec

collect_ignore_glob = ["_build/*", "_extensions/*", "conf.py", "gallery/*", "how_it_works/figures/*", "picture.py"]
if not all(map(find_spec, ("onnxruntime", "skl2onnx", "skops"))):
    collect_ignore_glob += ["guide/serving.md"]
