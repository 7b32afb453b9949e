"""Sphinx configuration: `python -m sphinx -W -b html docs docs/_build/html`."""

import sys
from pathlib import Path

from skcnn import __version__

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "skcnn"
version = release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.mathjax", "drawn"]
html_static_path = ["_static"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"skcnn {release}"
# small enough for a network's summary
html_theme_options = {"light_css_variables": {"code-font-size": "70%"}}

# so that a link to a heading works here as it does where the files are read as they are
myst_heading_anchors = 3
# equations: $...$ and $$...$$
myst_enable_extensions = ["dollarmath", "amsmath"]

# docstrings are numpydoc; "Shape" is a section of ours
napoleon_google_docstring = False
napoleon_use_ivar = False
napoleon_use_rtype = False
napoleon_custom_sections = ["Shape"]
autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_preserve_defaults = True
# every layer has the same methods: they are described once, in Layer
autodoc_inherit_docstrings = False
# `names` in docstrings are parameters, attributes and modules alike
default_role = "code"
