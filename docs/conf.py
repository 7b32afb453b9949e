"""Sphinx configuration: `python -m sphinx -W -b html docs docs/_build/html`."""

from skcnn import __version__

project = "skcnn"
version = release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"skcnn {release}"
# small enough for a network's summary
html_theme_options = {"light_css_variables": {"code-font-size": "70%"}}

# so that a link to a heading works here as it does where the files are read as they are
myst_heading_anchors = 3

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
