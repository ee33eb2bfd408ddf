"""A memo of a function of a configuration, keyed by the fields that the function reads.

Trials of a grid differ in many fields and share most of what is derived from them: a model depends
on its width and not on the learning rate, data on n and not on the width. Which fields matter is
seen by handing the function a configuration that notes every field it is asked for.
"""

from collections.abc import Callable, Hashable, Iterator
from typing import Any, Generic, NamedTuple, TypeVar

from harness.task import Config

R = TypeVar("R")


class _Result(NamedTuple):
    value: Any


class FieldTrackingCache(Generic[R]):
    """`memo(config, *more)` is `function(config, *more)`; computed once for each combination of
    what it reads and `more`.

    The function must depend on nothing else. One that touches the configuration other than by its
    fields (calls a method of it, say) is taken to read all of them.
    """

    def __init__(self, function: Callable[..., R]):
        self.function = function
        self.known: dict[Hashable, str | _Result] = {}

    def __call__(self, config: Config, *more: Any) -> R:
        path: tuple[Hashable, ...] = more
        while (found := self.known.get(path)) is not None:
            if isinstance(found, _Result):
                return found.value
            path = (*path, (found, repr(getattr(config, found))))
        value, read = self._watched(config, *more)
        path = more
        for field in read:
            self.known[path] = field
            path = (*path, (field, repr(getattr(config, field))))
        self.known[path] = _Result(value)
        return value

    def _watched(self, config: Config, *more: Any) -> tuple[R, list[str]]:
        read: list[str] = []
        try:
            value = self.function(_Watch(config, read), *more)
        except (AttributeError, TypeError):  # perhaps because it was handed no true configuration
            value = self.function(config, *more)
            return value, sorted(type(config).model_fields)
        # Python decides the first field without looking at any value, the second from the first
        # one's, and so on: equal values along the way lead to equal fields.
        return value, read


class _Watch:
    """Stands in for a configuration and notes the fields that are read; whatever else is asked
    of it reads them all."""

    __slots__ = ("_watched_config", "_watched_reads")

    def __init__(self, config: Config, read: list[str]):
        self._watched_config, self._watched_reads = config, read

    # So that isinstance(config, SomeConfig) holds.
    @property
    def __class__(self) -> type:  # pyright: ignore[reportIncompatibleMethodOverride]
        return type(self._watched_config)

    def __getattr__(self, name: str) -> Any:
        fields = type(self._watched_config).model_fields
        for field in (name,) if name in fields else sorted(fields):
            if field not in self._watched_reads:
                self._watched_reads.append(field)
        return getattr(self._watched_config, name)

    # Python looks these up on the class, past __getattr__.
    def __repr__(self) -> str:
        return self.__getattr__("__repr__")()

    def __str__(self) -> str:
        return self.__getattr__("__str__")()

    def __hash__(self) -> int:
        return self.__getattr__("__hash__")()

    def __eq__(self, other: object) -> bool:
        return self.__getattr__("__eq__")(other)

    def __iter__(self) -> Iterator[Any]:
        return self.__getattr__("__iter__")()
