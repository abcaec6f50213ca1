"""The copying agent is killed in mid-copy: the standby site comes out right, with nothing left over."""
import os
import signal
import subprocess
from contextlib import suppress

import pytest
from conftest import BIN, wait_for

LEFT_ALONE = {"data", "state", "agent.yaml", "agent.log", "postgresql.log"}


def copying(member):
    return [pid for pid in member.processes() if b"pg_basebackup" in cmdline(pid)]


def cmdline(pid):
    try:
        return open(f"/proc/{pid}/cmdline", "rb").read()
    except OSError:
        return b""


@pytest.mark.parametrize("everything", [False, True], ids=["agent_killed", "agent_and_jobs_killed"])
def test_copy_killed(make_lab, everything):
    lab = make_lab("ams:2", "fra:2")
    lab.coordinator.start()
    for m in lab.members.values():
        m.agent.start()
    lab.wait_answers()
    for m in lab.site("fra"):
        m.agent.kill()  # so that there are rows to copy before anybody begins
    # birth needs an answer of every site, so the agents of fra come back once, before there is anything to copy
    apply = subprocess.Popen([BIN / "pgregent", "-c", lab.dir / "pgregent.yaml", "apply", lab.topology, "--create", "--yes", "--reason", "test"],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for m in lab.site("fra"):
        m.agent.start()
    copier = wait_for("somebody at fra copies", lambda: next((m for m in lab.site("fra") if copying(m)), None), 90, 0.002)
    copier.agent.kill()
    if everything:
        for pid in copying(copier):
            with suppress(ProcessLookupError):  # one of them ends with the other
                os.kill(pid, signal.SIGKILL)
    wait_for("the orphaned copy ends", lambda: not copying(copier), 20)
    copier.agent.start()
    lab.wait_healthy("ams", timeout=120)
    apply.wait(60)
    for m in lab.members.values():
        assert {p.name for p in m.dir.iterdir()} <= LEFT_ALONE, f"left over beside the directory of {m.name}"
    for m in lab.site("ams"):
        slots = m.sql("SELECT slot_name FROM pg_replication_slots ORDER BY 1").splitlines()
        assert {"pgregent_site_fra", "pgregent_anchor_fra"} <= set(slots)
        assert all(s.startswith("pgregent_") for s in slots), slots
    for m in lab.site("fra"):
        assert m.sql("SELECT status FROM pg_stat_wal_receiver") == "streaming"
