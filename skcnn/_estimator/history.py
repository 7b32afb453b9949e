"""The history as notebooks show it."""

from __future__ import annotations

from typing import Any

from skcnn._html import html_table
from skcnn._training.state import Row

__all__ = ["History"]


class History(list[Row]):
    """A list with one dict per epoch, which notebooks show as a table. It is pickled and copied as a plain list."""

    def __reduce_ex__(self, protocol: Any) -> Any:
        return list, (list(self),)

    def _repr_html_(self) -> str:
        """Return a table of the columns that have values."""
        names = [name for name in dict.fromkeys(name for row in self for name in row) if self._has_values(name)]
        return html_table(names, [[_format(row.get(name)) for name in names] for row in self])

    def _has_values(self, name: str) -> bool:
        return any(row.get(name) is not None for row in self)


def _format(value: Any) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
