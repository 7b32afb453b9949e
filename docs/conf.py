"""Sphinx configuration: `python -m sphinx -W -E -b html docs docs/_build/html`.

The first build runs the examples of the gallery, later builds only those that have changed. `-D plot_gallery=0` runs
none.

`python -m sphinx -W -E -b linkcheck docs docs/_build/linkcheck` also checks the links to other sites.
"""

import sys
from pathlib import Path

from docutils import nodes
from numpydoc.docscrape import NumpyDocString

from skcnn import __version__

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "skcnn"
version = release = __version__
extensions = [
    "drawn",
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
# `names` in docstrings are parameters, attributes and modules alike
default_role = "code"
smartquotes = False
nitpicky = True
# fitted attributes are described where they are listed; scikit-learn has its own documentation
nitpick_ignore_regex = [("py:obj", r"\w+_"), ("py:obj", r"sklearn\..+")]

html_theme = "pydata_sphinx_theme"
html_title = f"skcnn {release}"
html_static_path = ["_static"]
html_css_files = ["skcnn.css"]
html_sidebars = {"index": []}
html_theme_options = {
    "logo": {"text": "skcnn"},
    "header_links_before_dropdown": 6,
    "navbar_align": "left",
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
}

# a link to a heading works here as it does where the files are read as they are
myst_heading_anchors = 4
myst_enable_extensions = ["amsmath", "colon_fence", "dollarmath"]

# every layer has the same methods: they are described once, in Layer
autodoc_inherit_docstrings = False
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints = "none"
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False

# all public methods with a docstring, unless they are listed here
autosummary_context = {
    "methods_of": {
        "skcnn.NumpyCNNClassifier": "fit, partial_fit, predict, predict_proba, predict_log_proba, decision_function, "
        "activations, score, get_params, set_params",
        "skcnn.CNNFeatures": "fit, fit_transform, transform, get_feature_names_out",
        "skcnn.Network": "build, predict, up_to, summary, n_params",
    }
}
# the first parameter of each group, and the title of the group
PARAMETER_GROUPS = {
    "skcnn.NumpyCNNClassifier": {
        "n_kernels": "architecture",
        "image_shape": "images",
        "solver": "training",
        "early_stopping": "validation and early stopping",
        "warm_start": "running",
    }
}

# only what follows a prompt is copied, if there is one
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

sphinx_gallery_conf = {
    "examples_dirs": "../examples/gallery",
    "gallery_dirs": "gallery",
    "within_subsection_order": "gallery_order.position",
    # the pages of the API show the examples that use a class or function
    "backreferences_dir": "api/backreferences",
    "doc_module": ("skcnn",),
    "image_srcset": ["2x"],
    "remove_config_comments": True,
    "show_memory": False,
}

linkcheck_timeout = 30
linkcheck_retries = 2


# a section of ours: numpydoc knows it now, and `shapes_as_notes` shows it
NumpyDocString.sections["Shape"] = []


def shapes_as_notes(app, what, name, obj, options, lines):
    """Turn the section "Shape" into notes."""
    for number in range(len(lines) - 1):
        if (lines[number], lines[number + 1]) == ("Shape", "-----"):
            lines[number] = "Notes"
            lines[number + 2 : number + 2] = ["**Shape**", ""]


def group_parameters(app, what, name, obj, options, lines):
    """Show the parameters that numpydoc has listed in groups."""
    groups = PARAMETER_GROUPS.get(name, {}) if what == "class" else {}
    for parameter, title in groups.items():
        start = next(number for number, line in enumerate(lines) if line.strip().startswith(f"**{parameter}**"))
        lines[start:start] = [f":Parameters ({title}):", ""]
    if groups:
        lines.remove(":Parameters:")


def without_last_line(app, doctree):
    """Remove the empty line at the end of a block of code, which a doctest needs but a reader does not."""
    for block in doctree.findall(nodes.literal_block):
        block.rawsource = block.astext().rstrip()
        block.children = [nodes.Text(block.rawsource)]


def setup(app):
    """Connect the functions above, two of them before and after numpydoc's."""
    app.connect("autodoc-process-docstring", shapes_as_notes, priority=100)
    app.connect("autodoc-process-docstring", group_parameters, priority=900)
    app.connect("doctree-read", without_last_line)
