"""A method of a session that a part of the session calls: a strong one would be a circle, and only
the garbage collector would free the session's lock."""

from __future__ import annotations

from collections.abc import Callable
from types import MethodType
from weakref import WeakMethod

import sqlalchemy as sa

Dropped = Callable[[sa.Connection, int, range], None]


def weakly(function: Dropped) -> Dropped:
    """The same; if it is a method, without keeping its object alive."""
    if not isinstance(function, MethodType):
        return function
    method = WeakMethod(function)

    def call(connection: sa.Connection, gen: int, chunks: range) -> None:
        if (bound := method()) is not None:
            bound(connection, gen, chunks)

    return call
