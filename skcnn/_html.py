"""Tables in HTML, for notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

__all__ = ["html_table"]


def html_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, n_left: int = 0) -> str:
    """Return a table in HTML. The first `n_left` columns are aligned to the left, and all others to the right.

    Examples
    --------
    >>> html_table(["layer", "n"], [["Conv2D()", "40"]], n_left=1).splitlines()[1]
    '<tr><th style="text-align: left">layer</th><th style="text-align: right">n</th></tr>'
    """

    def line(cells: Sequence[str], tag: str) -> str:
        sides = ("left" if i < n_left else "right" for i in range(len(cells)))
        content = (
            f'<{tag} style="text-align: {side}">{escape(cell)}</{tag}>' for side, cell in zip(sides, cells, strict=True)
        )
        return f"<tr>{''.join(content)}</tr>"

    lines = [line(header, "th"), "</thead>", "<tbody>", *(line(row, "td") for row in rows)]
    return "\n".join(["<table><thead>", *lines, "</tbody></table>"])
