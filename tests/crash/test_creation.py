"""A session whose making met a failing disk."""

import pytest


@pytest.mark.parametrize("kind", ["eio", "enospc"])
def test_a_session_is_never_made_with_the_weaker_journal(lab, kind) -> None:
    # SQLite does not say that it could not turn its log on.
    kinds = lab.record("new-session").kinds
    first = next(at for at, name in enumerate(kinds) if name == "mkdir")
    made = next(at for at in range(first, len(kinds)) if kinds[at] == "rename")
    syncs = [at for at in range(first, made) if kinds[at] == "sync"]
    assert len(syncs) >= 4
    for at in syncs[:4]:
        told = lab.run("fault", scenario="new-session", kind=kind, at=at)
        assert told["wrong"] == "", f"{kind} at {at}"
        assert told["ends"][0]["typed"], told["ends"][0]["trace"]
