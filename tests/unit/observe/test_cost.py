"""What the judgement costs: it runs beside the site that it judges."""

import random
import subprocess
import sys
from time import process_time

from celadon.model.names import Slot
from celadon.observe.rstar import RStarJudge
from celadon.observe.rule import Rule
from tests.unit.observe.scene import YES, baseline, hit


def test_importing_it_needs_nothing_more_than_the_model() -> None:
    """No numpy, no scipy, no json of the standard library: the way back must not wait for an import."""
    program = "import sys, celadon.observe.rstar; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert not {"numpy", "scipy", "sqlite3", "socket", "subprocess"} & set(done.stdout.split())


def test_ten_minutes_of_500_requests_a_second_are_judged_in_time() -> None:
    """A second of CPU is the mark on a quiet machine. Here a twentieth of the window, in five times its time."""
    draw = random.Random(1)
    pool = [hit(number % 60_000, route=f"GET /part-{number % 20}/{number}") for number in range(20_000)]
    judge = RStarJudge(Rule(max_error_rate=0.05), Slot.GREEN)
    judge.take_baseline(baseline(6_000, 6, durations_ms=[80.0 + number % 50 for number in range(2_000)]))
    seconds = [draw.choices(pool, k=500) for _ in range(30)]
    began_s = process_time()
    for second, asked in enumerate(seconds, 1):
        for _ in range(5):
            judge.take_control(YES)
        judge.take_traffic(asked)
        judge.judge(elapsed_s=second, window_s=600)
    assert process_time() - began_s < 0.25


def test_memory_stays_bounded_whoever_asks() -> None:
    """New clients, new paths and new failures without end."""
    judge = RStarJudge(Rule(), Slot.GREEN)
    for second in range(1, 31):
        for number in range(1_000):
            name = f"{second}-{number}"
            judge.take_traffic([hit(name, status=500 if number % 2 else 200, route=f"GET /{name}x/w", slot=Slot.GREEN)])
        judge.judge(elapsed_s=float(second), window_s=3_600)
        judge._found = judge._verdict = None
    users = judge._users
    assert len(users._units._young) + len(users._units._old) <= 20_000
    assert len(users._clients._started) <= 10_000
    assert len(users.failing._counts) <= 510
