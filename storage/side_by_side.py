"""Reading and checksumming of megabytes on more than one core."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

Result = TypeVar("Result")
PIECE_BYTES = 1 << 20
# Memory is the limit, not the cores.
_MOST_THREADS = 4


def side_by_side(work: Callable[[int], Result], count: int) -> list[Result]:
    """Results of work(0), work(1), ..., each of which takes about a millisecond of calls that let
    other threads run; on return or error none is running.

    Raises:
        What one of them raised; some of the others were not begun.
    """
    results: dict[int, Result] = {}
    failures: list[BaseException] = []
    numbers = itertools.count()

    def run() -> None:
        try:
            while not failures and (number := next(numbers)) < count:
                results[number] = work(number)
        # Of any kind: it is raised in the thread that asked.
        except BaseException as error:
            failures.append(error)

    wanted = min(_MOST_THREADS, os.cpu_count() or 1, count)
    threads: list[threading.Thread] = []
    try:
        for _ in range(wanted - 1):
            thread = threading.Thread(target=run, daemon=True)
            # Where there can be no more threads, those that there are do it.
            with suppress(RuntimeError):
                thread.start()
                threads.append(thread)
        run()
    finally:
        for thread in threads:
            thread.join()
    if failures:
        raise failures[0]
    return [results[number] for number in range(count)]
