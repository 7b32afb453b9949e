"""What the figures share: colours, grids of numbers, pictures and arrows.

A figure is as wide as a telephone's screen, so its letters can be read there, and are large elsewhere.
"""

import numpy as np
from matplotlib import colormaps, rcParams
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle

WIDTH = 4.2  # inches
BLUE, ORANGE, GREEN, RED, VIOLET, GREY = "#3d8fd1", "#e0812b", "#3f9b4f", "#d64f5f", "#9a77c7", "#8a9099"
COLOURS = (BLUE, ORANGE, GREEN, RED, VIOLET, GREY)


def _style(ink):
    """Return Matplotlib's settings for lines and letters of one colour on a transparent ground."""
    coloured = ("text.color", "axes.edgecolor", "axes.labelcolor", "axes.titlecolor", "xtick.color", "ytick.color")
    return {
        **dict.fromkeys(coloured, ink),
        "figure.facecolor": "none",
        "axes.facecolor": "none",
        "savefig.facecolor": "none",
        "legend.frameon": False,
        "legend.fontsize": 8,
        "font.size": 8.5,
        "axes.titlesize": 9,
        "axes.labelsize": 8.5,
        "xtick.labelsize": 8,
        "ytick.labelsize": 8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "grid.color": GREY,
        "grid.alpha": 0.3,
        "svg.hashsalt": "skcnn",  # the same figure gives the same file
    }


STYLES = {"light": _style("#22262a"), "dark": _style("#e3e6ea")}


def ink():
    """Return the colour of the letters."""
    return rcParams["text.color"]


def new_figure(height, rows=1, columns=1, **options):
    """Return a figure of this height in inches, and its axes."""
    figure = Figure((WIDTH, height), layout="constrained")
    return figure, figure.subplots(rows, columns, **options)


def picture(axes, values, title=None, cmap="gray", limits=None):
    """Show an array (h, w) as an image."""
    low, high = limits or (None, None)
    axes.imshow(values, cmap=cmap, vmin=low, vmax=high, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    if title:
        axes.set_title(title)


def signed(axes, values, title=None, limit=None):
    """Show an array (h, w) as an image: blue is negative, white is 0, red is positive."""
    limit = limit or np.abs(values).max() or 1
    picture(axes, values, title, "RdBu_r", (-limit, limit))


def cells(axes, values, title=None, cmap="Blues", limits=None, form="{:g}", size=8):
    """Show an array (h, w) as a grid of numbers. NaN is an empty cell."""
    values = np.asarray(values, dtype=float)
    low, high = limits or (np.nanmin(values), np.nanmax(values))
    picture(axes, values, title, cmap, (low, high))
    norm, colours = Normalize(low, high), colormaps[cmap]
    for (i, j), value in np.ndenumerate(values):
        axes.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, fill=False, edgecolor=GREY, linewidth=0.6))
        if not np.isnan(value):
            bright = np.dot(colours(norm(value))[:3], (0.299, 0.587, 0.114)) > 0.5
            text = form.format(value + 0.0).replace("-", "\N{MINUS SIGN}")
            axes.text(j, i, text, ha="center", va="center", fontsize=size, color="black" if bright else "white")
    axes.set_xlim(-0.55, values.shape[1] - 0.45)
    axes.set_ylim(values.shape[0] - 0.45, -0.55)


def signed_cells(axes, values, title=None, limit=None, form="{:g}", size=8):
    """Show an array (h, w) as a grid of numbers: blue is negative, white is 0, red is positive."""
    limit = limit or np.nanmax(np.abs(values)) or 1
    cells(axes, values, title, "RdBu_r", (-1.3 * limit, 1.3 * limit), form, size)


def outline(axes, top, left, rows, columns, colour=ORANGE, inset=0.0, width=2.2):
    """Draw a frame around some cells of a grid."""
    corner = left - 0.5 + inset, top - 0.5 + inset
    size = columns - 2 * inset, rows - 2 * inset
    axes.add_patch(Rectangle(corner, *size, fill=False, edgecolor=colour, linewidth=width, zorder=5, clip_on=False))


def symbol(axes, text, size=12):
    """Show only a text, such as the sign between two grids."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, ha="center", va="center", fontsize=size, transform=axes.transAxes)


def canvas(height, width_units, height_units):
    """Return a figure and axes without ticks, on which shapes are placed. y points downwards."""
    figure = Figure((WIDTH, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, width_units)
    axes.set_ylim(height_units, 0)
    return figure, axes


def box(axes, x, y, width, height, text="", colour=BLUE, size=8):
    """Draw a box with a text inside."""
    axes.add_patch(Rectangle((x, y), width, height, facecolor=colour, alpha=0.25, edgecolor="none"))
    axes.add_patch(Rectangle((x, y), width, height, fill=False, edgecolor=colour, linewidth=1.2))
    axes.text(x + width / 2, y + height / 2, text, ha="center", va="center", fontsize=size)


def arrow(axes, start, end, colour=None, text=None, size=8, bend=0.0, dy=0.0):
    """Draw an arrow from one point to another, with a text beside its middle."""
    style = {"arrowstyle": "-|>", "mutation_scale": 9, "linewidth": 1.1, "shrinkA": 0, "shrinkB": 0}
    colour = colour or ink()
    axes.add_patch(FancyArrowPatch(start, end, color=colour, connectionstyle=f"arc3,rad={bend}", **style))
    if text:
        middle = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2 + dy
        axes.text(*middle, text, ha="center", va="center", fontsize=size, color=colour)
