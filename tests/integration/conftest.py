"""Laboratories for the integration tests: each test gets sites of its own with real PostgreSQL, in a directory of its own,
on ports of its own. They are laid out by tests/lab/make-lab.sh, as the demo is."""
import fcntl
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import urllib.error
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("BUILD", "build"))
BUILD = BUILD if BUILD.is_absolute() else ROOT / BUILD
BIN = BUILD / "bin"
WRITER = BUILD / "tests/tools/writer"
PG_BIN = Path(os.environ.get("PG_BIN", "/usr/lib/postgresql/15/bin"))
LONG = os.environ.get("PGREGENT_TEST_LONG") == "1"
PATIENCE = 60.0  # seconds that an event may take on a busy machine; a healthy one needs one or two


def wait_for(what, condition, timeout=PATIENCE, every=0.05):
    """Waits until condition() is true and returns what it gave; tells `what` (or its latest evidence) when it never was."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout:.0f} s: {what() if callable(what) else what}")
        time.sleep(every)


def free_base():
    """A port base of which no lab of a test running beside us takes a port."""
    for base in itertools.chain(range(21000 + os.getpid() % 20 * 400, 32000, 400), range(13000, 21000, 400)):
        lock = open(f"/var/tmp/pgregent-test-{base}.lock", "w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", base))
            return base, lock
        except OSError:
            lock.close()
    raise RuntimeError("no free ports")


class Daemon:
    """A process of the product: started, ended by pid, its log read."""

    def __init__(self, name, command, log, env=None):
        self.name, self.command, self.log_path, self.env = name, [str(c) for c in command], Path(log), env or {}
        self.process = None

    def start(self, **env):
        assert not self.runs(), f"{self.name} runs already"
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                                            env={**os.environ, **self.env, **env}, start_new_session=True)
        return self

    def runs(self):
        return self.process is not None and self.process.poll() is None

    def end(self, number=signal.SIGTERM, timeout=15):
        if self.runs():
            self.process.send_signal(number)
            self.process.wait(timeout)
        code, self.process = (self.process.returncode if self.process else None), None
        return code

    def kill(self):
        return self.end(signal.SIGKILL)

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""


class Member:
    def __init__(self, lab, site, number, site_number):
        self.lab, self.site, self.name = lab, site, f"{site}-{number}"
        self.port = lab.base + 10 * site_number + number
        self.agent_port, self.health_port = self.port + 100, self.port + 200
        self.dir = lab.dir / site / self.name
        self.data, self.state = self.dir / "data", self.dir / "state"
        self.agent = Daemon(self.name, [BIN / "pgregent-agent", "--config", self.dir / "agent.yaml"], self.dir / "agent.log")

    # -- PostgreSQL, seen from beside the product --

    def sql(self, query, database="postgres", timeout=10):
        run = subprocess.run([PG_BIN / "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", self.state / "run", "-p", str(self.port), "-U", "postgres",
                              "-d", database, "-c", query], capture_output=True, text=True, timeout=timeout)
        if run.returncode:
            raise RuntimeError(run.stderr.strip())
        return run.stdout.strip()

    def try_sql(self, query):
        try:
            return self.sql(query, timeout=5)
        except (RuntimeError, subprocess.TimeoutExpired):
            return None

    def writable(self):
        return self.try_sql("SELECT pg_is_in_recovery()") == "f"

    def postgres_log(self):
        path = self.dir / "postgresql.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def postmaster(self):
        """Pid of the postmaster that runs in the data directory, or 0."""
        try:
            pid = int((self.data / "postmaster.pid").read_text().split()[0])
            return pid if os.readlink(f"/proc/{pid}/cwd") == str(self.data) else 0
        except (OSError, ValueError, IndexError):
            return 0

    def deadman(self):
        for path in Path("/proc").glob("[0-9]*"):
            try:
                words = (path / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words[0].endswith(b"pgregent-deadman") and str(self.state).encode() in words:
                return int(path.name)
        return 0

    def processes(self):
        """Everything that runs PostgreSQL's programs or our jobs on this member's directories."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            try:
                cwd, line = os.readlink(path / "cwd"), (path / "cmdline").read_bytes()
            except OSError:
                continue
            if cwd.startswith(str(self.dir)) or str(self.dir).encode() in line:
                found.append(int(path.name))
        return [pid for pid in found if pid != os.getpid()]

    def control(self):
        """pg_controldata as a dictionary."""
        run = subprocess.run([PG_BIN / "pg_controldata", self.data], capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"})
        return dict((k.strip(), v.strip()) for k, _, v in (line.partition(":") for line in run.stdout.splitlines()))

    def health(self, path, method="GET"):
        """(status, body) of a health endpoint; (0, "") when nobody answers."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.health_port}{path}", method=method)
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refusal:
            return refusal.code, refusal.read().decode()
        except OSError:
            return 0, ""


class Lab:
    """Sites, a coordinator and a command on this machine."""

    def __init__(self, sites=("ams:2", "fra:2"), ttl="6s", stop_time="2s"):
        self.dir = Path(tempfile.mkdtemp(prefix="pgregent-", dir="/var/tmp"))
        self.dir.chmod(0o711)
        self.base, self.lock = free_base()
        self.bin = BIN
        env = {**os.environ, "BIN": str(BIN), "PG_BIN": str(PG_BIN), "TTL": ttl, "STOP_TIME": stop_time}
        subprocess.run([ROOT / "tests/lab/make-lab.sh", self.dir, str(self.base), *sites], check=True, env=env)
        self.topology = self.dir / "topology.yaml"
        self.coordinator = Daemon("coordinator", [BIN / "pgregent-coordinator", "--config", self.dir / "coordinator/coordinator.yaml"],
                                  self.dir / "coordinator/coordinator.log")
        self.writers, self.members = [], {}
        for n, site in enumerate(sites, 1):
            name, _, count = site.partition(":")
            for m in range(1, int(count) + 1):
                member = Member(self, name, m, n)
                self.members[member.name] = member

    def __getitem__(self, name):
        return self.members[name]

    def site(self, name):
        return [m for m in self.members.values() if m.site == name]

    # -- daemons --

    def start(self):
        if not self.coordinator.runs():
            self.coordinator.start()
        for m in self.members.values():
            if not m.agent.runs():
                m.agent.start()
        return self

    def kill_all(self):
        """kill -9 of everything at once: coordinator, agents, dead-men, PostgreSQL and whatever they started."""
        for daemon in [self.coordinator] + [m.agent for m in self.members.values()]:
            daemon.kill()
        for number in range(5):
            pids = [pid for m in self.members.values() for pid in m.processes()]
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            if not pids:
                return
            time.sleep(0.1)

    def stop(self):
        for process in self.writers:
            process.kill()
            process.wait()
        self.kill_all()
        self.lock.close()

    # -- the command --

    def pgregent(self, *words, check=True, timeout=120):
        run = subprocess.run([BIN / "pgregent", "-c", self.dir / "pgregent.yaml", *words], capture_output=True, text=True, timeout=timeout,
                             stdin=subprocess.DEVNULL)
        if check and run.returncode:
            raise AssertionError(f"pgregent {' '.join(map(str, words))}: exit {run.returncode}\n{run.stdout}\n{run.stderr}")
        return run

    def json(self, *words, **options):
        return json.loads(self.pgregent("-o", "json", *words, **options).stdout)

    def status(self):
        run = self.pgregent("-o", "json", "status", "orders", check=False)
        try:
            document = json.loads(run.stdout)
            clusters = document["clusters"] if document["source"] == "coordinator" else None
        except (ValueError, KeyError):
            return None
        return clusters[0] if clusters else None

    def apply(self, *words):
        return self.pgregent("apply", self.topology, "--yes", "--reason", "test", *words)

    def wait_ready(self, to):
        """Healthy is not enough for a move: new members get their slots a moment later."""
        def dry_run():
            return self.pgregent("switchover", "orders", "--to", to, "--dry-run", check=False)
        wait_for(lambda: f"ready for a move to {to}: {dry_run().stderr}", lambda: dry_run().returncode == 0, 30)

    def switchover(self, to, *words, check=True):
        self.wait_ready(to)
        return self.pgregent("switchover", "orders", "--to", to, "--yes", "--reason", "test", *words, check=check)

    # -- what holds --

    def healthy(self, primary=None):
        """The status, if one site writes and everybody else streams, with nothing under way."""
        now = self.status()
        if not now or now["operation"] or not now["writable"] or (primary and now["primary_site"] != primary):
            return None
        if any(s["report_age_ms"] is None or s["report_age_ms"] > 2500 for s in now["sites"]):
            return None
        states = [(m["role"], m["state"]) for s in now["sites"] for m in s["members"]]
        if len(states) != len(self.members) or states.count(("primary", "running")) != 1:
            return None
        return now if all(state == "streaming" for role, state in states if role != "primary") else None

    def wait_healthy(self, primary=None, timeout=PATIENCE):
        return wait_for(lambda: f"one primary{' at ' + primary if primary else ''}, the others streaming: {json.dumps(self.status(), indent=1)}",
                        lambda: self.healthy(primary), timeout)

    def wait_answers(self):
        wait_for("the coordinator answers", lambda: self.pgregent("status", check=False).returncode in (0, 8))
        return self

    def build(self):
        """From nothing to a healthy cluster with a user for clients."""
        self.start().wait_answers()
        self.apply("--create")
        self.wait_healthy(timeout=120)
        self.make_user()
        return self

    def primary(self):
        return next((m for m in self.members.values() if m.writable()), None)

    def writable_members(self):
        return [m.name for m in self.members.values() if m.writable()]

    def make_user(self):
        primary = self.primary()
        primary.sql("CREATE ROLE demo LOGIN PASSWORD 'demo'")
        primary.sql("CREATE DATABASE demo OWNER demo")

    def conninfo(self):
        hosts = ",".join("127.0.0.1" for _ in self.members)
        ports = ",".join(str(m.port) for m in self.members.values())
        return f"host={hosts} port={ports} user=demo password=demo dbname=demo sslmode=require connect_timeout=2 target_session_attrs=read-write"

    def logs(self):
        out = [f"---- coordinator\n{self.coordinator.log()[-6000:]}"]
        for m in self.members.values():
            out += [f"---- {m.name} agent\n{m.agent.log()[-6000:]}", f"---- {m.name} postgresql\n{m.postgres_log()[-3000:]}"]
        return "\n".join(out)


class Writer:
    """Clients that write without a pause; the judge of what they were told afterwards."""

    def __init__(self, lab, clients=4, *words):
        self.lab, self.path = lab, lab.dir / f"rows-{time.monotonic_ns()}"
        self.process = subprocess.Popen([WRITER, "run", "--conninfo", lab.conninfo(), "--clients", str(clients), "--out", self.path, *words],
                                        stdout=subprocess.PIPE, text=True)
        lab.writers.append(self.process)
        wait_for("clients write", lambda: self.path.exists() and self.path.stat().st_size > 100)

    def window(self):
        """Ends a window: its longest time without an acknowledged commit, and how many there were."""
        self.process.send_signal(signal.SIGUSR1)
        return json.loads(self.process.stdout.readline())

    def end(self):
        self.process.terminate()
        return json.loads(self.process.communicate(timeout=30)[0].splitlines()[-1])

    def check(self):
        run = subprocess.run([WRITER, "check", "--conninfo", self.lab.conninfo(), "--in", self.path], capture_output=True, text=True, timeout=120)
        assert run.stdout, run.stderr
        return json.loads(run.stdout)


@pytest.fixture
def make_lab(request):
    """A maker of laboratories; all it made are taken down at the end, kept with KEEP=1 when the test failed."""
    labs = []

    def make(*sites, **options):
        labs.append(Lab(sites or ("ams:2", "fra:2"), **options))
        return labs[-1]

    yield make
    failed = getattr(request.node, "failed", False)
    for lab in labs:
        if failed:
            print(lab.logs(), file=sys.stderr)
        lab.stop()
        if failed and os.environ.get("KEEP") == "1":
            print(f"kept: {lab.dir}", file=sys.stderr)
        else:
            shutil.rmtree(lab.dir, ignore_errors=True)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if call.when == "call" and outcome.get_result().failed:
        item.failed = True


@pytest.fixture
def lab(make_lab):
    """Two sites of two members, healthy."""
    return make_lab().build()
