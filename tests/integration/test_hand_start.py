"""Any start of a member's PostgreSQL that is not ours: in recovery, or not at all."""
import contextlib
import os
import shutil
import subprocess
import time

import pytest
from conftest import PG_BIN, wait_for

AS_POSTGRES = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] if os.geteuid() == 0 else []


def start_by_hand(member, *options):
    """pg_ctl start, as a person would; answers "recovery", "writable" or "refused"."""
    run = member.dir / "by-hand"
    run.mkdir(exist_ok=True)
    if AS_POSTGRES:
        shutil.chown(run, "postgres", "postgres")
    log = run / "log"
    words = [*AS_POSTGRES, PG_BIN / "pg_ctl", "-D", member.data, "-l", log, "-w", "-t", "20", "-o", f"-p {member.port} -k {run} -c listen_addresses=", *options, "start"]
    started = subprocess.run(words, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)
    try:
        if started.returncode:
            return "refused"
        asked = subprocess.run([*AS_POSTGRES, PG_BIN / "psql", "-XAtqh", run, "-p", str(member.port), "-d", "postgres", "-c", "SELECT pg_is_in_recovery()"],
                               cwd="/", capture_output=True, text=True, timeout=20)
        return {"t": "recovery", "f": "writable"}.get(asked.stdout.strip(), asked.stdout + asked.stderr)
    finally:
        subprocess.run([*AS_POSTGRES, PG_BIN / "pg_ctl", "-D", member.data, "-m", "immediate", "-w", "stop"], cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def test_crashed_directories(lab):
    lab.kill_all()
    answers = {m.name: start_by_hand(m) for m in lab.members.values()}
    assert set(answers.values()) <= {"recovery", "refused"}, answers
    lab.start()
    lab.wait_healthy("ams", timeout=90)


def test_stopped_directories(lab):
    """Agents end for good, so the dead-man stops the primary; standbys are stopped by hand."""
    primary = lab.primary()
    lab.coordinator.end()
    for m in lab.members.values():
        m.agent.end()
    wait_for("the dead-man stops the primary", lambda: not primary.postmaster(), 20)
    assert primary.control()["Database cluster state"] in ("shut down", "in production")
    assert start_by_hand(primary) in ("recovery", "refused")
    lab.kill_all()
    lab.start()
    lab.wait_healthy("ams", timeout=90)


def test_half_promoted_directory(lab):
    """Killed at random moments of a promotion, the directory never opens by hand."""
    seen = set()
    for delay in (0.0, 0.01, 0.02, 0.04, 0.08):
        target = "fra" if lab.healthy("ams") else "ams"
        lab.wait_ready(target)
        members = lab.site(target)
        before = {m.name: len(m.agent.log()) for m in members}
        move = subprocess.Popen([*map(str, (lab.bin / "pgregent", "-c", lab.dir / "pgregent.yaml", "switchover", "orders", "--to", target, "--yes", "--reason", "test"))],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for("the promotion begins", lambda: any("promoting PostgreSQL" in m.agent.log()[before[m.name]:] for m in members), 60, 0.001)
        time.sleep(delay)
        lab.kill_all()
        move.kill()
        move.wait()
        answers = {m.name: start_by_hand(m) for m in lab.members.values()}
        seen |= set(answers.values())
        assert set(answers.values()) <= {"recovery", "refused"}, (delay, answers)
        lab.start()
        lab.wait_healthy(timeout=120)
    assert seen


def test_a_person_starts_while_the_agent_is_away(make_lab):
    """The agent finds a server that it did not start: it is stopped, and started rightly."""
    lab = make_lab("ams:1", "fra:1").build()
    standby = lab["fra-1"]
    postmaster = standby.postmaster()
    standby.agent.kill()
    for pid in standby.processes():
        with contextlib.suppress(ProcessLookupError):  # the others end by themselves once the postmaster is gone
            os.kill(pid, 9)
    wait_for("everything of fra-1 is gone", lambda: not standby.processes() and not os.path.exists(f"/proc/{postmaster}"))
    run = standby.dir / "by-hand"
    run.mkdir()
    if AS_POSTGRES:
        shutil.chown(run, "postgres", "postgres")
    subprocess.run([*AS_POSTGRES, PG_BIN / "pg_ctl", "-D", standby.data, "-l", run / "log", "-w", "-o", f"-p {standby.port} -k {run} -c listen_addresses= -c hot_standby=off", "start"],
                   cwd="/", check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    standby.agent.start()
    wait_for("the agent finds a stranger's server", lambda: "foreign-server" in standby.agent.log())
    lab.wait_healthy("ams")
