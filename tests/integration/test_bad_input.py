"""Bad input of every kind: a clear error that names the place and the cure; nothing lost."""
import http.client
import os
import socket
import ssl
import subprocess
import time

import pytest
from conftest import BIN, Lab, wait_for


@pytest.fixture(scope="module")
def up():
    import shutil
    lab = Lab(("ams:1", "fra:1")).build()
    yield lab
    lab.stop()
    shutil.rmtree(lab.dir, ignore_errors=True)


def validate(path):
    return subprocess.run([BIN / "pgregent", "validate", path], capture_output=True, text=True)


def test_truncated_topology(up, tmp_path):
    text = up.topology.read_text()
    for cut in (10, len(text) // 3, len(text) // 2, len(text) - 30):
        path = tmp_path / "cut.yaml"
        path.write_text(text[:cut])
        run = validate(path)
        assert run.returncode == 2 and f"{path}:" in run.stdout + run.stderr, (cut, run)
        assert up.pgregent("apply", path, "--yes", "--reason", "test", check=False).returncode == 2


@pytest.mark.parametrize("old,new,words", [
    ("initial_primary: ams", "initial_primary: asm", "ams"),
    ("format: 1", "format: 1\nformat: 1", "duplicate|twice"),
    ("max_performance", "max_availability", "protection"),
    ("initial_primary:", "initial_primry:", "initial_primary"),
    ("fra-1:", "ams-1:", "ams-1"),
])
def test_mistakes_in_the_topology(up, tmp_path, old, new, words):
    path = tmp_path / "wrong.yaml"
    path.write_text(up.topology.read_text().replace(old, new, 1))
    run = validate(path)
    assert run.returncode == 2
    lines = (run.stdout + run.stderr).splitlines()
    assert any(line.startswith(f"{path}:") and any(w in line for w in words.split("|")) for line in lines), lines


def tls(lab, client=True):
    context = ssl.create_default_context(cafile=lab.dir / "tls/ca.crt")
    if client:
        context.load_cert_chain(lab.dir / "tls/alice.crt", lab.dir / "tls/alice.key")
    return context.wrap_socket(socket.create_connection(("127.0.0.1", lab.base), 10), server_hostname="127.0.0.1")


def test_huge_body(up):
    """100 MB where a kilobyte is due: refused early, the coordinator lives on."""
    with tls(up) as s:
        s.sendall(b"POST /v1/report HTTP/1.1\r\nHost: x\r\nContent-Length: 104857600\r\n\r\n")
        answer = b""
        try:
            for _ in range(1600):
                s.sendall(b"x" * 65536)
        except OSError:
            pass
        try:
            answer = s.recv(4096)
        except OSError:
            pass
    assert answer == b"" or b" 413 " in answer or b" 400 " in answer
    assert up.healthy("ams")


def test_no_certificate_no_entry(up):
    with pytest.raises((ssl.SSLError, ConnectionError)):
        with tls(up, client=False) as s:
            s.sendall(b"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n")
            if not s.recv(100):
                raise ConnectionError("closed")


def test_half_handshakes(up):
    """Many connections that say half of a hello, or nothing, hold up nobody."""
    idle = [socket.create_connection(("127.0.0.1", port), 5) for port in [up.base, up["ams-1"].agent_port] * 100]
    for s in idle[::2]:
        s.sendall(b"\x16\x03\x01\x02\x00\x01\x00")
    began = time.monotonic()
    assert up.healthy("ams")
    assert time.monotonic() - began < 5
    for s in idle:
        s.close()


def test_reports_of_strangers(up):
    """Nonsense sent as reports, as fast as can be: refused each, nobody is lost."""
    context = ssl.create_default_context(cafile=up.dir / "tls/ca.crt")
    context.load_cert_chain(up.dir / "tls/alice.crt", up.dir / "tls/alice.key")
    connection = http.client.HTTPSConnection("127.0.0.1", up.base, context=context, timeout=20)
    codes = set()
    for body in ["{}", "[]", "nonsense", '{"payload": 1}', "\0" * 100] * 20:
        connection.request("POST", "/v1/report", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        assert b"error" in answer.read()
        codes.add(answer.status)
    assert codes <= {400, 403, 503}, codes
    assert up.healthy("ams")


def agent_says(lab, name, words, timeout=60):
    return wait_for(lambda: f"{words} in the log: {lab[name].agent.log()[-3000:]}", lambda: words in lab[name].agent.log() + lab[name].postgres_log(), timeout)


def test_port_in_use(make_lab):
    lab = make_lab("ams:1", "fra:1")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", lab["ams-1"].agent_port))
        taken.listen()
        code = lab["ams-1"].agent.start().process.wait(20)
    assert code != 0 and str(lab["ams-1"].agent_port) in lab["ams-1"].agent.log() and "another program has this address" in lab["ams-1"].agent.log()
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", lab["ams-1"].port))
        taken.listen()
        lab["ams-1"].agent.process = None
        lab.start().wait_answers()
        lab.pgregent("apply", lab.topology, "--create", "--yes", "--reason", "test", "--no-wait", check=False)
        agent_says(lab, "ams-1", "Address already in use")
    lab.wait_healthy("ams", timeout=120)  # the place is free again: it goes on by itself


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another owner for the directory")
def test_unwritable_data_directory(make_lab):
    lab = make_lab("ams:1", "fra:1")
    place = lab["fra-1"].dir
    os.chown(place, 0, 0)
    place.chmod(0o555)
    lab.start().wait_answers()
    lab.pgregent("apply", lab.topology, "--create", "--yes", "--reason", "test", "--no-wait", check=False)
    agent_says(lab, "fra-1", str(place))
    assert lab["fra-1"].postmaster() == 0
    place.chmod(0o711)
    import shutil
    shutil.chown(place, "postgres")
    lab.wait_healthy("ams", timeout=120)


def test_wrong_postgresql(make_lab):
    """bin_dir without a PostgreSQL of the right version: said, and nothing begun."""
    lab = make_lab("ams:1", "fra:1")
    config = lab["ams-1"].dir / "agent.yaml"
    right = config.read_text()
    config.write_text(right.replace("/usr/lib/postgresql/15/bin", "/usr/lib/postgresql/14/bin"))
    lab.start()
    time.sleep(1)
    if lab["ams-1"].agent.runs():
        lab.wait_answers()
        lab.pgregent("apply", lab.topology, "--create", "--yes", "--reason", "test", "--no-wait", check=False)
        agent_says(lab, "ams-1", "/usr/lib/postgresql/14/bin")
    else:
        assert "/usr/lib/postgresql/14/bin" in lab["ams-1"].agent.log()
    assert not lab["ams-1"].data.exists()
