"""A cache of a function of a configuration, keyed by the fields that the function reads.

Trials of a grid differ in many fields and share most of what is derived from them: a model depends
on its width and not on the learning rate, data on n and not on the width. Which fields matter is
found by handing the function a stand-in that notes every field it is asked for.
"""

from collections.abc import Callable, Hashable, Iterator
from inspect import getattr_static
from typing import Any, Generic, NamedTuple, TypeVar

from harness.task import Config

R = TypeVar("R")


class _Result(NamedTuple):
    value: Any


class FieldTrackingCache(Generic[R]):
    """`cache(config, *more)` is `function(config, *more)`, computed once for each combination of
    the fields that the function reads and `more`.

    The function must depend on nothing else. A property of the configuration is read by the fields
    that it reads. A function that touches the configuration in another way (that calls a method of
    it, say) is taken to read all fields.
    """

    def __init__(self, function: Callable[..., R]):
        self.function = function
        # A tree of reads. A path holds the fields read so far, with their values; at a path stands
        # the field that is read next, or the result.
        self.known: dict[Hashable, str | _Result] = {}

    def __call__(self, config: Config, *more: Any) -> R:
        path: tuple[Hashable, ...] = more
        step = self.known.get(path)
        while isinstance(step, str):
            path = (*path, (step, repr(getattr(config, step))))
            step = self.known.get(path)
        if isinstance(step, _Result):
            return step.value

        value, fields = self._watched(config, *more)
        path = more
        for field in fields:
            self.known[path] = field
            path = (*path, (field, repr(getattr(config, field))))
        self.known[path] = _Result(value)
        return value

    def _watched(self, config: Config, *more: Any) -> tuple[R, list[str]]:
        """Return the function's value, and the fields that it read, in order."""
        read: list[str] = []
        try:
            value = self.function(_Watch(config, read), *more)
        except (AttributeError, TypeError):  # perhaps because the stand-in is no true configuration
            value = self.function(config, *more)
            return value, sorted(type(config).model_fields)
        # The function chooses the first field without seeing any value, the second after the first
        # one's value, and so on: equal values along the path lead to equal fields.
        return value, read


class _Watch:
    """A stand-in for a configuration that notes the fields that are read, by its properties too;
    any other access reads them all."""

    __slots__ = ("_watched_config", "_watched_reads")

    def __init__(self, config: Config, read: list[str]):
        self._watched_config = config
        self._watched_reads = read

    # So that isinstance(config, SomeConfig) holds.
    @property
    def __class__(self) -> type:  # pyright: ignore[reportIncompatibleMethodOverride]
        return type(self._watched_config)

    def __getattr__(self, name: str) -> Any:
        defined = getattr_static(type(self._watched_config), name, None)
        if isinstance(defined, property) and defined.fget is not None:
            return defined.fget(self)

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
