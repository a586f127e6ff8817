"""One element of a tuple put in another's place: what states made of equal parts need in their `evolve`."""

from __future__ import annotations

from typing import TypeVar

Item = TypeVar("Item")


def put(items: tuple[Item, ...], index: int, item: Item) -> tuple[Item, ...]:
    """Return the tuple that holds `item` at `index`, and what `items` holds everywhere else."""
    return (*items[:index], item, *items[index + 1 :])
