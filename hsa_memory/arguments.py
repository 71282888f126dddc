"""Checks of arguments that several calls share; all raise `InvalidArgument`."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Collection, Iterable
from typing import cast

from .engine import Engine
from .errors import InvalidArgument, InvalidMessage
from .messages import make_draft

_MAX_QUESTION_TOKENS = 8192


def require_count(name: str, value: object) -> None:
    """Require a positive int."""
    require_int(name, value, least=1)


def require_int(
    name: str, value: object, *, least: int | None = None, most: int | None = None
) -> None:
    """Require an int, of at least `least` and at most `most`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidArgument(f"{name} must be an int; found {value!r}")
    if least is not None and value < least:
        raise InvalidArgument(f"{name} must be at least {least}; found {value!r:.100}")
    if most is not None and value > most:
        raise InvalidArgument(f"{name} must be at most {most}; found {value!r:.100}")


def require_progress(progress: object) -> None:
    """Require None, or what can be called."""
    if progress is not None and not callable(progress):
        raise InvalidArgument(f"progress must be a function or None; found {progress!r:.100}")


def require_path(name: str, value: object) -> str:
    """Require what the operating system takes for a path; returns it as a str."""
    path = os.fspath(value) if isinstance(value, str | os.PathLike) else value
    if not isinstance(path, str) or not path:
        raise InvalidArgument(f"{name} must be a path or a name; found {value!r:.100}")
    if "\0" in path:
        raise InvalidArgument(f"{name} must not hold a zero character; found {path!r:.100}")
    try:
        os.lstat(path)
    except UnicodeEncodeError as error:
        raise InvalidArgument(f"{name} has a lone surrogate: {path!r:.100}") from error
    except OSError as error:
        # Whatever else is wrong is said where the path is used.
        if error.errno == errno.ENAMETOOLONG:
            raise InvalidArgument(
                f"{name} is too long for this system: {len(path)} characters, {path!r:.100}"
            ) from error
    return path


def require_name(name: object, what: str = "session") -> None:
    """Raise InvalidArgument unless it is a name of a session or a user."""
    if not isinstance(name, str) or not 0 < len(name.encode("utf-8", "replace")) <= 1024:
        raise InvalidArgument(
            f"a {what}'s name must be a str of 1 to 1024 bytes of UTF-8; found {name!r:.100}"
        )
    if any("\ud800" <= char <= "\udfff" for char in name):
        raise InvalidArgument(f"a {what}'s name has a lone surrogate: {name!r:.100}")


def require_names(what: str, names: object) -> list[str]:
    """Return names of sessions, each once, in their order."""
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise InvalidArgument(
            f"{what} must be several names; found the {type(names).__name__} {names!r:.100}"
        )
    found: list[str] = []
    for name in names:
        require_name(name)
        found.append(name)
    return list(dict.fromkeys(found))


def require_id(value: object) -> None:
    """Require a str that could be a message's id."""
    if not isinstance(value, str):
        raise InvalidArgument(f"id must be a str; found {value!r:.100}")
    if any("\ud800" <= char <= "\udfff" for char in value):
        raise InvalidArgument(f"id has a lone surrogate: {value!r:.100}")


def require_temperature(value: object) -> None:
    """Require a finite number that is not negative."""
    known = isinstance(value, int | float) and not isinstance(value, bool)
    # An int may be finite and still too large for a float.
    if not known or not 0 <= cast(float, value) <= sys.float_info.max:
        raise InvalidArgument(f"temperature must be a number >= 0; found {value!r:.100}")


def require_question(engine: Engine, text: object) -> None:
    """Require a text that could be a message and is not too long to be asked."""
    try:
        draft = make_draft("user", text, id=None, timestamp=None, metadata=None)
    except InvalidMessage as error:
        raise InvalidArgument(f"question: {error}") from error
    # No token stands for less than a byte.
    if len(draft.text.encode()) > _MAX_QUESTION_TOKENS:
        count = len(engine.tokenizer.encode(draft.text))
        if count > _MAX_QUESTION_TOKENS:
            raise InvalidArgument(
                f"the question has {count} tokens; at most {_MAX_QUESTION_TOKENS} are taken"
            )


def require_ids(ids: object) -> tuple[str, ...] | None:
    """Return ids of messages, given as one or several, or None."""
    if ids is None:
        return None
    if isinstance(ids, str):
        ids = (ids,)
    if not isinstance(ids, Collection):
        raise InvalidArgument(f"ids must be a str or several; found {ids!r:.100}")
    listed: list[object] = list(ids)
    for id in listed:
        require_id(id)
    return tuple(id for id in listed if isinstance(id, str))
