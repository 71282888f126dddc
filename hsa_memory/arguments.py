"""Checks of arguments that several calls share; all raise `InvalidArgument`."""

from __future__ import annotations

import math

from .engine import Engine
from .errors import InvalidArgument, InvalidMessage
from .messages import make_draft

_MAX_QUESTION_TOKENS = 8192


def require_count(name: str, value: object) -> None:
    """Require a positive int."""
    require_int(name, value, least=1)


def require_int(name: str, value: object, *, least: int | None = None) -> None:
    """Require an int, of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidArgument(f"{name} must be an int; found {value!r}")
    if least is not None and value < least:
        raise InvalidArgument(f"{name} must be at least {least}; found {value!r}")


def require_temperature(value: object) -> None:
    """Require a finite number that is not negative."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise InvalidArgument(f"temperature must be a number >= 0; found {value!r}")


def require_question(engine: Engine, text: object) -> None:
    """Require a text that could be a message and is not too long to be asked."""
    try:
        draft = make_draft("user", text, id=None, timestamp=None, metadata=None)
    except InvalidMessage as error:
        raise InvalidArgument(f"question: {error}") from error
    if len(draft.text) > _MAX_QUESTION_TOKENS:
        count = len(engine.tokenizer.encode(draft.text))
        if count > _MAX_QUESTION_TOKENS:
            raise InvalidArgument(
                f"the question has {count} tokens; at most {_MAX_QUESTION_TOKENS} are answered"
            )
