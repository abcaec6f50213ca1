"""A cluster that is mistreated: bad input over the network, directories, disks, ports and programs that are not as they should
be. A clear error that names the place and the cure; nothing lost, and with the cure it works. Files: test_bad_files.py."""
import http.client
import json
import os
import re
import secrets
import shutil
import signal
import socket
import sqlite3
import ssl
import subprocess
import time
from contextlib import suppress

import pytest
from conftest import PG_BIN, Lab, wait_for
from scripted_coordinator import Key, when
from spoiling import Started, certificate, changed, public_of, taken

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: another owner, a file system of its own")


@pytest.fixture(scope="module")
def up(request):
    """A healthy cluster of two sites."""
    lab = Lab(("ams:1", "fra:1"))
    try:
        yield lab.build()
        if request.session.testsfailed:
            print(lab.logs())
    finally:
        lab.stop()
        shutil.rmtree(lab.dir, ignore_errors=True)


def tls(lab, port, client=True, host="127.0.0.1"):
    context = ssl.create_default_context(cafile=lab.dir / "tls/ca.crt")
    if client:
        context.load_cert_chain(lab.dir / "tls/alice.crt", lab.dir / "tls/alice.key")
    return context.wrap_socket(socket.create_connection(("127.0.0.1", port), 20, (host, 0)), server_hostname="127.0.0.1")


def answer_of(s):
    """(status, headers, body) of the next answer on a connection."""
    reply = http.client.HTTPResponse(s)
    reply.begin()
    return reply.status, reply.headers, reply.read().decode()


def pids(lab):
    return [d.process.pid for d in (lab.coordinator, *(m.agent for m in lab.members.values())) if d.runs()] + [m.postmaster() for m in lab.members.values()]


@pytest.fixture
def unharmed(up):
    """The same processes before and after, and a healthy cluster."""
    before = pids(up)
    yield up
    assert pids(up) == before and 0 not in before
    up.wait_healthy("ams", timeout=20)


HEADS = {"stated": "Content-Length: 104857600", "chunked": "Transfer-Encoding: chunked"}


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("daemon", ["coordinator", "agent"])
def test_huge_body(unharmed, daemon, head):
    """100 MB where a kilobyte is due: 413, long before it has been sent, and no memory taken for it."""
    port, process = (unharmed.base, unharmed.coordinator.process) if daemon == "coordinator" else (unharmed["ams-1"].agent_port, unharmed["ams-1"].agent.process)
    piece = b"x" * 65536
    sent, answer = 0, b""
    with tls(unharmed, port) as s:
        s.sendall(f"POST /v1/report HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{HEADS[head]}\r\n\r\n".encode())
        s.settimeout(0.01)
        try:
            while sent < 104857600 and not answer:
                try:
                    s.sendall(piece if head == "stated" else b"%x\r\n%s\r\n" % (len(piece), piece))
                except TimeoutError:
                    pass
                sent += len(piece)
                try:
                    answer = s.recv(4096)
                except (TimeoutError, ssl.SSLWantReadError):
                    pass
        except OSError:
            s.settimeout(5)
            answer = s.recv(4096)
    assert b" 413 " in answer.splitlines()[0], answer
    assert sent < 32 << 20, f"{sent >> 20} MB were taken before the refusal"
    resident = next(int(line.split()[1]) for line in open(f"/proc/{process.pid}/status") if line.startswith("VmHWM"))
    assert resident < 128 * 1024, f"{resident} kB"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"payload": 7}', b"\xff\xfe", b"[" * 100000, b'{"a":' * 50000], ids=["nothing", "cut", "list", "number", "bytes", "deep_list", "deep_object"])
@pytest.mark.parametrize("path", ["/v1/report", "/v1/operations", "/v1/topology"])
def test_malformed_bodies(unharmed, path, body):
    with tls(unharmed, unharmed.base) as s:
        s.sendall(b"POST %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % (path.encode(), len(body)) + body)
        status, _, text = answer_of(s)
    error = json.loads(text)["error"]
    assert status in (400, 403, 404) and error["code"] and error["message"], (status, error)


def test_no_certificate_no_entry(unharmed):
    for port in (unharmed.base, unharmed["ams-1"].agent_port):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            with tls(unharmed, port, client=False) as s:
                s.sendall(b"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n")
                if not s.recv(100):
                    raise ConnectionError("closed")


def test_half_handshakes_and_plain_text(unharmed):
    """Connections that say half of a hello, nothing, or something else hold up nobody, and are cut."""
    openings = [b"\x16\x03\x01\x02\x00\x01\x00", b"", b"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n", b"\x00" * 200, b"SSH-2.0-OpenSSH_9.2\r\n"]
    idle = []
    for port in (unharmed.base, unharmed["ams-1"].agent_port):
        for opening in openings * 20:
            s = socket.create_connection(("127.0.0.1", port), 5)
            s.sendall(opening)
            idle.append(s)
    began = time.monotonic()
    assert unharmed.pgregent("status").returncode == 0
    assert time.monotonic() - began < 5, "others had to wait"
    end = time.monotonic() + 25
    for s in idle:
        s.settimeout(max(0.1, end - time.monotonic()))
        try:
            while s.recv(4096):
                pass
        except ConnectionError:
            pass  # cut: what was meant; a time-out is not
        s.close()


def test_full_mailbox(unharmed):
    """More letters at once than the coordinator keeps (256), while its journal is locked by somebody else: some are told to
    come again (503, Retry-After), every one is answered, nothing of it is done, and afterwards all is as before."""
    clients = [tls(unharmed, unharmed.base, host=f"127.0.0.{2 + n % 4}") for n in range(440)]  # at most 128 from one address
    for s in clients:
        s.sendall(b"GET /v1/nothing HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer_of(s)[0] == 404
    alice = Key(unharmed.dir / "keys/alice.ed25519")
    letters = [alice.seal("request", {"cluster": "orders", "op": secrets.token_hex(16), "verb": "switchover", "to": "nowhere", "operator_name": "alice",
                                      "reason": "test", "issued_at": when(), "expires_at": when(300)}) for _ in clients]
    with sqlite3.connect(unharmed.dir / "coordinator/store/store.db", isolation_level=None) as lock:
        lock.execute("BEGIN IMMEDIATE")
        for s, letter in zip(clients, letters):
            body = json.dumps(letter).encode()
            s.sendall(b"POST /v1/operations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        lock.execute("ROLLBACK")
    answers = []
    for s in clients:
        s.settimeout(60)
        answers.append(answer_of(s))
        s.close()
    codes = [code for code, _, _ in answers]
    assert set(codes) == {409, 503}, {c: codes.count(c) for c in set(codes)}
    assert any("too many requests are waiting; try again" in body for _, _, body in answers)
    assert all(headers["Retry-After"] for code, headers, _ in answers if code == 503)


def report_age(lab, site):
    return next(s["report_age_ms"] for s in lab.status()["sites"] if s["name"] == site)


def test_expired_certificate_never_stops_postgresql(up):
    """Restarted with a certificate that has expired the agent of the primary cannot talk with anybody, says so, and renews
    its lease all the same: PostgreSQL writes on. With a new certificate (SIGHUP) it reports again."""
    ams, d = up["ams-1"], Started(up, "agent")
    before = ams.postmaster()
    with changed(d.certificate, certificate(up, "expired", public_of(up, d.tls), days=(-30, -1))):
        ams.agent.end()
        ams.agent.start()
        says(ams, rf"{re.escape(str(d.certificate))}.*has expired; renew it")
        time.sleep(8)  # longer than the lease, which is 6 s here
        assert ams.postmaster() == before and ams.writable() and ams.agent.runs()
    assert report_age(up, "ams") > 5000, "somebody still listens to an expired certificate"
    ams.agent.process.send_signal(signal.SIGHUP)
    wait_for("ams reports again", lambda: report_age(up, "ams") < 3000)
    up.wait_healthy("ams")
    assert ams.postmaster() == before


@ROOT_ONLY
def test_data_directory_of_somebody_else(up):
    """A restore as root leaves root's files: PostgreSQL does not start, says why; given back, it streams again."""
    fra, primary = up["fra-1"], up["ams-1"].postmaster()
    stop_member(fra)
    os.chown(fra.data, 0, 0)
    fra.agent.start()
    says(fra, rf"{re.escape(str(fra.data))}.*wrong ownership|{re.escape(str(fra.data))}.*(Permission denied|belongs to)")
    assert fra.postmaster() == 0
    shutil.chown(fra.data, "postgres", "postgres")
    streams_again(up, fra)
    assert up["ams-1"].postmaster() == primary


def test_data_directory_of_another_version(up):
    fra, primary = up["fra-1"], up["ams-1"].postmaster()
    stop_member(fra)
    with changed(fra.data / "PG_VERSION", "14\n"):
        fra.agent.start()
        says(fra, r"PG_VERSION|version 14|initialized by PostgreSQL version")
        time.sleep(1)
        assert fra.postmaster() == 0
    streams_again(up, fra)
    assert up["ams-1"].postmaster() == primary


@ROOT_ONLY
def test_read_only_data_directory(up):
    """Its file system went read-only, as Linux does after an I/O error: named in the log; with the cure it streams again."""
    fra, primary = up["fra-1"], up["ams-1"].postmaster()
    stop_member(fra)
    subprocess.run(["mount", "--bind", fra.data, fra.data], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", fra.data], check=True)
        fra.agent.start()
        says(fra, rf"{re.escape(str(fra.dir))}/postgresql.log says why")
        says(fra, "Read-only file system")
        assert fra.postmaster() == 0
        subprocess.run(["mount", "-o", "remount,rw,bind", fra.data], check=True)
        streams_again(up, fra)
    finally:
        subprocess.run(["umount", "--lazy", fra.data], check=True)
    assert up["ams-1"].postmaster() == primary


def stop_member(member):
    """Agent, dead-man and PostgreSQL of a member end, as in a crash of its host. From here on its logs are read."""
    member.agent.kill()
    for pid in member.processes():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_for("all of it ends", lambda: not member.processes(), 20)
    member.mark = len(member.agent.log()), len(member.postgres_log())


def says(member, words, timeout=30):
    agent, postgres = getattr(member, "mark", (0, 0))
    wait_for(lambda: f"{words} in the log: {member.agent.log()[agent:][-3000:]}{member.postgres_log()[postgres:][-1500:]}",
             lambda: re.search(words, member.agent.log()[agent:] + member.postgres_log()[postgres:]), timeout)


def streams_again(lab, member):
    """By PostgreSQL's own word, as reports may be older than what was done."""
    primary = lab.primary()
    primary.sql("CREATE TABLE IF NOT EXISTS heartbeat (n int); INSERT INTO heartbeat SELECT count(*) FROM heartbeat")
    rows = primary.sql("SELECT count(*) FROM heartbeat")
    wait_for(lambda: f"{member.name} streams again: {member.agent.log()[-2000:]}", lambda: member.try_sql("SELECT count(*) FROM heartbeat") == rows)
    lab.wait_healthy(primary.site)


# ---- a cluster that cannot begin ----

@ROOT_ONLY
def test_bad_places_at_the_beginning(make_lab):
    """The port of PostgreSQL is taken at one site, at the other PostgreSQL is not where the configuration says.
    Each is told; cured one after the other, the cluster comes up. Then the disk of a store runs full."""
    lab = make_lab("ams:1", "fra:1")
    ams, fra = lab["ams-1"], lab["fra-1"]
    config = fra.dir / "agent.yaml"
    right = config.read_text()
    config.write_text(right.replace(str(PG_BIN), "/usr/lib/postgresql/14/bin"))
    store = lab.dir / "fra/store"
    store.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", store], check=True)
    try:
        with taken(ams.port):
            lab.start().wait_answers()
            lab.pgregent("apply", lab.topology, "--create", "--yes", "--reason", "test", "--no-wait", check=False)
            says(ams, "Address already in use")
            says(ams, f"127.0.0.1.*{ams.port}|port {ams.port}")
        wait_for("ams writes: its port is free again", ams.writable)
        says(fra, "/usr/lib/postgresql/14/bin")
        assert not fra.data.exists()
        fra.agent.end()
        config.write_text(right)
        fra.agent.start()
        lab.wait_healthy("ams", timeout=120)
        full_disk(lab, store)
    finally:
        fra.agent.kill()
        subprocess.run(["umount", "--lazy", store], check=True)


def full_disk(lab, store):
    """The store of the standby site has no room: said where and why, PostgreSQL streams on, and with room it goes on."""
    fra, before = lab["fra-1"], pids(lab)
    with open(store / "ballast", "wb", buffering=0) as ballast, suppress(OSError):
        while ballast.write(b"x" * 4096):
            pass
    says(fra, rf"{re.escape(str(store))}.*no space: make room on its file system")
    lab["ams-1"].sql("CREATE TABLE written (n int); INSERT INTO written VALUES (1)")
    wait_for("the standby streams on", lambda: fra.try_sql("SELECT n FROM written") == "1", 20)
    (store / "ballast").unlink(missing_ok=True)
    streams_again(lab, fra)
    assert pids(lab) == before
    lab.switchover("fra")
    assert lab.wait_healthy("fra") and fra.sql("SELECT n FROM written") == "1"
