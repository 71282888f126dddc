"""Descriptors that somebody owns: closed once, whatever interrupts that."""

from __future__ import annotations

from io import FileIO


class OwnedFile:
    """A descriptor that is closed by `close`, or else when nobody has this object any more.

    Args:
        fd: the descriptor; this object's from now on.
    """

    # Until there is one: an interrupt may strike before the end of __init__.
    _file: FileIO | None = None

    def __init__(self, fd: int) -> None:
        # A file object forgets its descriptor in the same step that closes it: a number that was
        # closed twice might meanwhile be that of another file.
        self._file = FileIO(fd, "r")
        self.fd = fd
        """For reading and writing as it was opened; of no use after `close`."""

    def close(self) -> None:
        """Close the descriptor; a second call does nothing."""
        if self._file is not None:
            self._file.close()

    def __del__(self) -> None:
        # What nobody has any more needs no file, and Python no warning.
        self.close()
