"""Remember, leave, come back, ask. Run it twice: the second time it already knows."""

import sys

import hsa_memory


def main(folder: str = "agent-memory") -> None:
    with hsa_memory.open(folder) as memory, memory.session("alice") as session:
        print(f"{len(session)} messages from before")
        # Durable on return. The id makes a second run add nothing.
        session.add("user", "My dog is called Biscuit.", id="dog")
        session.add_messages(
            [
                {"id": "hi", "role": "assistant", "content": "Got it."},
                {"id": "locker", "role": "user", "content": "My locker code is 4817."},
            ]
        )

    # Nothing is kept in this process: the memory comes from disk.
    with hsa_memory.open(folder) as memory, memory.session("alice") as session:
        for hit in session.search("What is my dog called?", k=2):
            print(f"found {hit.score:.2f} {hit.role}: {hit.text}")

        answer = session.ask("What is my dog called?")
        print(f"answer: {answer.text} (support {answer.support:.2f})")
        for citation in answer.citations[:2]:
            print(f"from {citation.weight:.2f} {citation.role}: {citation.text}")
        print(f"history prefilled again: {answer.stats.prefilled_history} tokens")


if __name__ == "__main__":
    main(*sys.argv[1:])
