"""Tool calls in messages of OpenAI's and LangChain's shape, as text to remember."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from .errors import InvalidMessage


class ToolCall(NamedTuple):
    """One call, whatever shape it came in."""

    id: str | None
    name: str
    arguments: object
    """A map, JSON of one, or any text."""


def calls_of(message: Mapping[str, Any]) -> list[ToolCall]:
    """Return the tool calls of a message's fields.

    Raises:
        InvalidMessage: a call without a name, or something that is no list of calls.
    """
    calls = message.get("tool_calls") or []
    if not isinstance(calls, Sequence) or isinstance(calls, str | bytes):
        raise InvalidMessage(f"tool_calls must be a list; found {calls!r:.100}")
    # What OpenAI had before tools.
    older = message.get("function_call")
    return [_call(call) for call in [*calls, *([older] if older else [])]]


def _call(call: object) -> ToolCall:
    inner = _part(call, "function") or _part(call, "custom") or call
    name, call_id = _part(inner, "name"), _part(call, "id")
    if not isinstance(name, str):
        raise InvalidMessage(f"a tool call must have a name; found {call!r:.100}")
    given = (_part(inner, key) for key in ("arguments", "args", "input"))
    arguments = next((value for value in given if value is not None), "")
    return ToolCall(call_id if isinstance(call_id, str) else None, name, arguments)


def _part(value: object, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)


def with_calls(text: str, calls: Sequence[ToolCall]) -> str:
    """Return a text with a line, name(argument=value, ...), for each call."""
    return "\n".join([text] * bool(text.strip()) + [_line(call) for call in calls])


def _line(call: ToolCall) -> str:
    arguments = call.arguments
    if isinstance(arguments, str):
        try:
            parsed = json.loads(arguments)
        except (ValueError, RecursionError):
            parsed = None
        arguments = parsed if isinstance(parsed, dict) else arguments
    if isinstance(arguments, Mapping):
        arguments = ", ".join(f"{key}={_short(value)}" for key, value in arguments.items())
    return f"{call.name}({arguments})"


def _short(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def beside_text(message: Mapping[str, Any], calls: Sequence[ToolCall]) -> dict[str, Any]:
    """Return what a message's fields say of tools and names, for its metadata.

    Arguments are left to the text: they may be longer than metadata.
    """
    kept: dict[str, Any] = {}
    for key in ("name", "tool_call_id"):
        if isinstance(message.get(key), str):
            kept[key] = message[key]
    if calls:
        kept["tool_calls"] = [{"id": call.id, "name": call.name} for call in calls]
    return kept
