"""kill -9 at random moments: every acknowledged turn is there, every published byte is right."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROUNDS = 40

# Forks one victim per line of stdin, so that nothing is imported twice. A victim says on stdout
# what was acknowledged and goes on until it is killed.
NURSERY = """
import os, random, sys
sys.path.insert(0, sys.argv[2])
import helpers
from hsa_memory.storage import Store


def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())


def live(seed):
    random.seed(seed)
    store = Store.open(sys.argv[1])
    session = store.session("alice", layout=helpers.LAYOUT)
    say("acknowledged", session.num_turns)
    helpers.catch_up(session)
    while True:
        first = session.num_turns
        count = random.choice((1, 1, 1, 2, 7))
        session.append([helpers.make_turn(first + i, first % 9 + 1) for i in range(count)])
        say("acknowledged", session.num_turns)
        if random.random() < 0.6:
            helpers.catch_up(session, step=random.choice((1, 3, 50)))
        if random.random() < 0.1:
            session.rollback(random.randint(0, session.published))
        if random.random() < 0.1:
            session.close()
            session = store.session("alice", layout=helpers.LAYOUT)


for line in sys.stdin:
    child = os.fork()
    if child == 0:
        live(int(line))
    say("born", child)
    os.waitpid(child, 0)
    say("dead")
"""


@pytest.fixture
def helpers_folder(tmp_path: Path) -> Path:
    """conftest.py under a name that a subprocess can import."""
    folder = tmp_path / "helpers"
    folder.mkdir()
    source = (Path(__file__).parent / "conftest.py").read_text(encoding="utf-8")
    (folder / "helpers.py").write_text(source, encoding="utf-8")
    return folder


def run_until_killed(nursery: subprocess.Popen[str], seed: int, appends: int, delay: float) -> int:
    """Kill a victim `delay` seconds after some appends; returns the last acknowledged count."""
    nursery.stdin.write(f"{seed}\n")
    nursery.stdin.flush()
    pid, count = None, 0
    heard = 0
    # The first acknowledgement only says what the victim found.
    while pid is None or heard <= appends:
        word, number = nursery.stdout.readline().split()
        if word == "born":
            pid = int(number)
        else:
            count, heard = int(number), heard + 1
    time.sleep(delay)
    os.kill(pid, signal.SIGKILL)
    while (line := nursery.stdout.readline()) != "dead\n":
        count = int(line.split()[1])
    return count


def test_no_acknowledged_turn_is_lost(
    tmp_path, helpers_folder, open_session, kit, start_process
) -> None:
    draw = random.Random(20)
    acknowledged = 0
    command = [sys.executable, "-c", NURSERY, str(tmp_path / "store"), str(helpers_folder)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    nursery = start_process(command, text=True, **pipes)
    for seed in range(ROUNDS):
        appends, delay = draw.choice((0, 1, 1, 2, 5)), 0.02 * draw.random() ** 2
        acknowledged = max(acknowledged, run_until_killed(nursery, seed, appends, delay))
        with open_session() as session:
            assert session.num_turns >= acknowledged
            acknowledged = session.num_turns
            assert [(turn.turn_id, turn.text) for turn in session.turns()] == [
                (f"turn-{i}", kit.turn(i).text) for i in range(acknowledged)
            ]
            assert session.recovered == []
            kit.assert_right(session)
            if seed % 8 == 7:
                assert session.check() == []
    nursery.stdin.close()
    assert nursery.wait() == 0
    assert acknowledged >= ROUNDS
