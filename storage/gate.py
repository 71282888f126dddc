"""When an open session may be used: not after close, a failed write or a fork."""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

from .errors import DurabilityLost, FencedWriter, ReadOnly, SessionClosed


class Gate(ABC):
    """Base of an open session: lets one thread at a time to its parts.

    Args:
        name: of the session.
        writable: whether this is its writer.
    """

    def __init__(self, name: str, *, writable: bool) -> None:
        self._mutex = threading.RLock()
        self._closed = False
        self._name = name
        self._writable = writable
        self._pid = os.getpid()
        self._poison: DurabilityLost | FencedWriter | None = None
        self._interrupted = False

    def _may_write(self) -> bool:
        """Whether what is in memory may still be written."""
        return self._writable and self._poison is None and os.getpid() == self._pid

    @abstractmethod
    def _start_over(self) -> None:
        """Read everything anew from disk; called before the next use after a KeyboardInterrupt,
        which may strike between the disk and what is known of it in memory."""

    def _before_write(self) -> None:
        """Called in front of each write, outside of any transaction."""
        return

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Hold the session for reading; such blocks never nest.

        Raises:
            SessionClosed: it is closed, or was opened before a fork.
            DurabilityLost, FencedWriter: an earlier write failed so.
        """
        with self._mutex:
            if self._closed or os.getpid() != self._pid:
                raise SessionClosed(
                    f"session {self._name!r} is closed in this process; open it again"
                )
            if self._poison is not None:
                raise type(self._poison)(f"an earlier write failed: {self._poison}")
            self._recover()
            # Until the end of the block: an interrupt may leave it without any word of it here.
            self._interrupted = True
            try:
                yield
            except BaseException as error:
                self._interrupted = not isinstance(error, Exception)
                raise
            self._interrupted = False

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Hold the session for writing; errors as `_reading`.

        Raises:
            ReadOnly: this is not its writer.
        """
        with self._reading():
            if not self._writable:
                raise ReadOnly(f"session {self._name!r} was opened read-only")
            try:
                self._before_write()
                yield
            except (DurabilityLost, FencedWriter) as error:
                self._poison = error
                raise

    def _recover(self) -> None:
        """Start over if the last use was interrupted."""
        if self._interrupted:
            self._start_over()
            self._interrupted = False
