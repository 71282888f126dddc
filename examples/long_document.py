"""A book as memory: read it once, then search it and ask about what was said in between."""

import sys
import time
from pathlib import Path

import hsa_memory

BOOK = Path(__file__).parent / "data" / "adventures_of_sherlock_holmes.txt"
CHARACTERS = 120_000


def show(progress: hsa_memory.Progress) -> None:
    read = f"{progress.messages_added} of {progress.messages_total} paragraphs"
    print(f"  {read}, {progress.tokens_ingested} tokens encoded", flush=True)


def main(folder: str = "agent-memory", characters: str = str(CHARACTERS)) -> None:
    text = BOOK.read_text(encoding="utf-8")[: int(characters)]
    # An id per paragraph: a run that was interrupted goes on where it stopped.
    pages = [
        {"id": f"holmes-{number}", "role": "document", "content": paragraph}
        for number, paragraph in enumerate(text.split("\n\n"))
        if paragraph.strip()
    ]
    middle = len(pages) // 2
    pages.insert(middle, {"id": "key", "role": "user", "content": "The spare key is in the shed."})

    with hsa_memory.open(folder) as memory, memory.session("library") as session:
        start = time.perf_counter()
        added = session.add_messages(pages, progress=show)
        seconds = time.perf_counter() - start
        print(
            f"{added.num_added} paragraphs, {added.stats.tokens_ingested} tokens, {seconds:.1f} s"
        )

        for hit in session.search("Who is Irene Adler?", k=3, role="document"):
            print(f"found {hit.score:.2f} paragraph {hit.seq}: {hit.text[:60]}")

        answer = session.ask("Where is the spare key?")
        print(f"answer: {answer.text} ({answer.stats.seconds:.2f} s)")

        # For the prompt of another model: the best past messages, oldest first.
        context = session.context("Where is the spare key?", max_tokens=300)
        print(f"context: {context.num_tokens} tokens from {len(context.hits)} messages")


if __name__ == "__main__":
    main(*sys.argv[1:])
