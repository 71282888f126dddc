"""A session has one layout; who opens it may be able to read several."""

import dataclasses

import pytest

from hsa_memory.storage import ModelMismatch


def test_any_of_several_layouts_is_taken_and_the_first_is_made(open_session, kit) -> None:
    other = dataclasses.replace(kit.layout, dtype="int8", kv_bytes=56)
    open_session("new", layout=[other, kit.layout]).close()
    for layouts in ([other, kit.layout], (kit.layout, other), other):
        with open_session("new", layout=layouts) as session:
            assert session.layout == other
    # Each of its fields is one that is accepted, but not all of them together.
    mixed = dataclasses.replace(kit.layout, dtype="int8")
    with pytest.raises(ModelMismatch, match="kv_bytes=56") as caught:
        open_session("new", layout=[kit.layout, mixed])
    assert (caught.value.field, caught.value.expected) == ("kv_bytes", 56)
    with pytest.raises(ValueError, match="empty sequence"):
        open_session("another", layout=[])
