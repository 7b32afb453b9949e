"""The directive `drawn`: a figure that a Python function draws when the documentation is built.

The argument names the function, as in `pooling.windows` for the function `windows` in
`docs/how_it_works/figures/pooling.py`. It returns a Matplotlib figure. The option `alt` describes the figure for
readers who cannot see it, and the content of the directive is the caption:

    ```{drawn} pooling.windows
    ---
    alt: >-
      A grid of 4x4 numbers, and the largest number of each quarter.
    ---
    Max pooling with a window of 2x2.
    ```

Every figure is drawn twice, in the colours of the light and of the dark theme, and the theme shows one of the two. The
drawings are in the build folder, not in the source tree.
"""

import sys
from importlib import import_module
from os.path import relpath
from pathlib import Path
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective

FOLDER = Path(__file__).parents[1] / "how_it_works"


class Drawn(SphinxDirective):
    """A figure with an alternative text and a caption."""

    required_arguments = 1
    option_spec: ClassVar = {"alt": directives.unchanged_required}
    has_content = True

    def run(self):
        self.assert_has_content()
        if "alt" not in self.options:
            raise self.error(f"{self.arguments[0]} needs the option alt")
        images = nodes.inline()  # or the theme hides the caption together with the image of the other theme
        for theme, path in self.drawings().items():
            uri = relpath(path, Path(self.env.doc2path(self.env.docname)).parent)
            images += nodes.image(uri=uri, alt=self.options["alt"], classes=[f"only-{theme}"])
        return [nodes.figure("", images, self.caption(), align="center", classes=["drawn"])]

    def drawings(self):
        """Draw the figure for every theme, and return the files."""
        import matplotlib
        from threadpoolctl import threadpool_limits

        module_name, function_name = self.arguments[0].split(".")
        module = import_module(f"figures.{module_name}")
        self.env.note_dependency(module.__file__)
        folder = Path(self.env.app.doctreedir, "drawn")
        folder.mkdir(parents=True, exist_ok=True)
        paths = {}
        for theme, style in import_module("figures.drawing").STYLES.items():
            paths[theme] = folder / f"{module_name}-{function_name}-{theme}.svg"
            with matplotlib.rc_context(style), threadpool_limits(1):  # products are small
                getattr(module, function_name)().savefig(paths[theme], metadata={"Date": None})
        return paths

    def caption(self):
        """Return the caption, which is the content: one paragraph."""
        content = nodes.Element()
        self.state.nested_parse(self.content, self.content_offset, content)
        if len(content) != 1:
            raise self.error(f"the caption of {self.arguments[0]} must be one paragraph")
        return nodes.caption("", "", *content[0].children)


def setup(app):
    """Register the directive."""
    sys.path.insert(0, str(FOLDER))
    app.add_directive("drawn", Drawn)
    app.add_css_file("drawn.css")
    return {"parallel_read_safe": True}
