"""The coordinator is killed at every point of a switchover at which it writes or publishes; agents are killed at every
step of one. Afterwards the operation is done or aborted, the journal says which, and one site writes."""
import json
import subprocess
import time

import pytest
from conftest import BIN, LONG, Writer, wait_for

FAILPOINT_STATUS = 86
SAMPLE = {("order-put", 6), ("order-put", 8), ("operation-put", 5), ("operation-put", 10), ("journal-before-commit", 12), ("publish-before", 12),
          ("operation-started", 1), ("receipt-put", 1), ("operation-finished", 1)}
DEEPEST = 40  # nobody passes a point more often than this in one move


def failpoints():
    return subprocess.run([BIN / "pgregent-coordinator", "--list-failpoints"], capture_output=True, text=True, check=True).stdout.split()


def other(site):
    return "fra" if site == "ams" else "ams"


def start_move(lab, to):
    return subprocess.Popen([BIN / "pgregent", "-c", lab.dir / "pgregent.yaml", "-o", "json", "switchover", "orders", "--to", to, "--yes", "--reason", "sweep", "--deadline", "20s"],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def finished(lab, before):
    """The newest operation, if it is another one than before and over."""
    run = lab.pgregent("-o", "json", "operation", "list", "orders", check=False)
    try:
        newest = json.loads(run.stdout)["operations"][0]
    except (ValueError, KeyError, IndexError):
        return None
    return newest if newest["id"] != before and newest["state"] in ("done", "aborted", "failed") else None


def judge(lab, source, target, operation):
    """The outcome that the journal states is the one that the sites show."""
    assert operation["state"] in ("done", "aborted"), operation
    primary = target if operation["state"] == "done" else source
    lab.wait_healthy(primary, timeout=90)
    assert {m.split("-")[0] for m in lab.writable_members()} == {primary}


def test_coordinator_killed_at_every_step(lab, capsys):
    rows, tried = Writer(lab, 2), []
    for point in failpoints():
        for nth in range(1, DEEPEST):
            if not LONG and (point, nth) not in SAMPLE:
                continue
            source = lab.status()["primary_site"]
            target = other(source)
            lab.wait_ready(target)
            before = (newest_of(lab) or {}).get("id")
            lab.coordinator.end()
            lab.coordinator.start(PGREGENT_FAILPOINT=f"{point}:{nth}")
            wait_for("the coordinator answers or is killed", lambda: not lab.coordinator.runs() or lab.healthy(), 60)
            move = start_move(lab, target)
            wait_for("the coordinator is killed or the move is over", lambda: not lab.coordinator.runs() or finished(lab, before) or move.poll() == 3, 90, 0.02)
            assert move.poll() != 3, "the move was refused"
            hit = not lab.coordinator.runs()
            if hit:
                assert lab.coordinator.end() == FAILPOINT_STATUS
            lab.coordinator.end()  # not reached in the move it might be later on
            lab.coordinator.start()
            asked = move_was_asked(move, lab, before)
            if asked:
                operation = wait_for("the operation is over after the restart", lambda: finished(lab, before), 90, 0.1)
                judge(lab, source, target, operation)
                tried.append((point, nth, hit, operation["state"]))
            else:
                lab.wait_healthy(source)
                tried.append((point, nth, hit, "never began"))
            with capsys.disabled():
                print(f"\n{point}:{nth} {'killed' if hit else 'not reached'}: {tried[-1][3]}", end="")
            if not hit:
                break
    rows.end()
    verdict = rows.check()
    assert verdict["ok"], verdict
    assert any(hit for _, _, hit, _ in tried)


def newest_of(lab):
    try:
        return json.loads(lab.pgregent("-o", "json", "operation", "list", "orders", check=False).stdout)["operations"][0]
    except (ValueError, KeyError, IndexError):
        return None


def move_was_asked(move, lab, before):
    """False when the coordinator died before it had journaled the operation (the command then asks again by itself, or gives up)."""
    move.wait(120)
    return wait_for("the coordinator is back", lambda: newest_of(lab))["id"] != before


STEPS = ["check", "prepare", "stop", "promote", "follow", "verify"]


@pytest.mark.parametrize("who", ["target", "source"])
def test_leaders_killed_at_every_step(lab, who, capsys):
    rows = Writer(lab, 2)
    for step in STEPS if LONG else ["stop", "promote"]:
        source = lab.status()["primary_site"]
        target = other(source)
        leader = next(s["leader"] for s in lab.status()["sites"] if s["name"] == (target if who == "target" else source))
        before = newest_of(lab)["id"]
        lab.wait_ready(target)
        move = start_move(lab, target)
        wait_for(f"step {step}", lambda: reached(lab, before, step), 60, 0.005)
        lab[leader].agent.kill()
        time.sleep(1)
        lab[leader].agent.start()
        operation = wait_for("the operation is over", lambda: finished(lab, before), 120, 0.1)
        move.wait(120)
        judge(lab, source, target, operation)
        with capsys.disabled():
            print(f"\nleader of the {who} killed at {step}: {operation['state']}", end="")
    rows.end()
    assert rows.check()["ok"]


def reached(lab, before, step):
    newest = newest_of(lab)
    if not newest or newest["id"] == before:
        return False
    states = {s["name"]: s["state"] for s in newest["steps"]}
    return newest["state"] != "running" or states.get(step) in ("running", "done")


def test_abort(lab):
    """An abort asked for in the middle: done or aborted, and what the journal says is so."""
    for delay in (0.0, 0.1, 0.2, 0.3, 0.5) if LONG else (0.1, 0.3):
        source = lab.status()["primary_site"]
        target, before = other(source), newest_of(lab)["id"]
        lab.wait_ready(target)
        move = start_move(lab, target)
        wait_for("the operation begins", lambda: (newest_of(lab) or {}).get("id") != before, 30, 0.005)
        time.sleep(delay)
        lab.pgregent("operation", "abort", "orders", newest_of(lab)["id"], "--yes", "--reason", "test", check=False)
        operation = wait_for("the operation is over", lambda: finished(lab, before), 90, 0.1)
        move.wait(60)
        judge(lab, source, target, operation)
