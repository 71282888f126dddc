"""Long-term memory for language-model agents, built on hierarchical sparse attention.

Importing this package loads nothing heavy: each public name below is imported from its module on
first use, torch with the first memory that is opened.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass

__all__ = ["__version__"]

__version__ = "0.1.0"

# Public name -> the module of this package that defines it; the imports above say the same to type
# checkers.
_LAZY: dict[str, str] = {}


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_LAZY[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
