"""An agent that is restarted within its lease costs nothing; one that never comes back costs the primary, in time."""
import signal
import time

import pytest
from conftest import Writer, wait_for


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "stopped"])
def test_restart_never_stops_postgresql(lab, number):
    before = {m.name: m.postmaster() for m in lab.members.values()}
    rows = Writer(lab)
    for m in lab.members.values():
        m.agent.end(number)
        m.agent.start()
        time.sleep(0.5)  # a rolling upgrade: one after another
    lab.wait_healthy("ams")
    assert {m.name: m.postmaster() for m in lab.members.values()} == before
    assert rows.window()["longest_gap_ms"] < 500
    rows.end()
    assert rows.check()["ok"]


def test_coordinator_away_costs_nothing(lab):
    rows = Writer(lab)
    lab.coordinator.kill()
    time.sleep(8)  # longer than a lease
    assert len(lab.writable_members()) == 1
    assert rows.window()["longest_gap_ms"] < 500
    lab.coordinator.start()
    lab.wait_healthy("ams")
    rows.end()
    assert rows.check()["ok"]


def test_deadman_stops_a_primary_whose_agent_never_returns(make_lab):
    lab = make_lab("ams:1", "fra:1").build()
    primary, standby = lab["ams-1"], lab["fra-1"]
    rows = Writer(lab)
    pid = standby.postmaster()
    for m in (primary, standby):
        m.agent.kill()
    started = time.monotonic()
    wait_for("the dead-man stops the primary", lambda: not primary.postmaster(), 10)
    took = time.monotonic() - started
    assert took < 6.5, "the lease was 6 s"
    assert standby.postmaster() == pid, "a standby is never stopped"
    assert lab.writable_members() == []
    log = (primary.state / "deadman.log").read_text()
    assert "deadline" in log, log
    for m in (primary, standby):
        m.agent.start()
    lab.wait_healthy("ams")
    rows.end()
    assert rows.check()["ok"]
