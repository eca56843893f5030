"""Ports: how a lower package offers a place that upper packages fill at start-up.

An app registers from `AppConfig.ready`; the owner of the port iterates it in order. Nothing is registered later,
so what a deployment consists of is fixed when it starts.
"""

from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Port(Generic[T]):
    """An ordered collection that apps add to at start-up."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._items: dict[str, tuple[int, T]] = {}

    def register(self, name: str, item: T, *, order: int = 100) -> T:
        """Add an item under its own name. The same name twice is a programming error."""
        if name in self._items and self._items[name][1] is not item:
            raise ValueError(f"{self.name}: “{name}” is registered twice.")
        self._items[name] = (order, item)
        return item

    def get(self, name: str) -> T:
        return self._items[name][1]

    def names(self) -> list[str]:
        return [name for name, _ in sorted(self._items.items(), key=lambda pair: (pair[1][0], pair[0]))]

    def __iter__(self) -> Iterator[T]:
        return iter([self._items[name][1] for name in self.names()])

    def __len__(self) -> int:
        return len(self._items)
