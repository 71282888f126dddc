"""Attention inside the chosen chunks for decoding, from a pool of pages that sessions share."""

from .api import decode_workspace, paged_decode
from .pages import PageMissing, missing_pages
from .reference import paged_decode_reference

__all__ = [
    "PageMissing",
    "decode_workspace",
    "missing_pages",
    "paged_decode",
    "paged_decode_reference",
]
