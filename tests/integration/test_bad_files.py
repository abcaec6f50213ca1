"""Files with mistakes in them, and daemons that cannot start: a clear error that names the place and the cure; with the cure
it works. Nothing runs but what is tried."""
import os
import re
import shutil

import pytest
from conftest import BIN, Lab
from spoiling import Started, certificate, changed, public_of, run, taken


@pytest.fixture(scope="module")
def laid_out():
    """Files, keys and certificates; nothing runs."""
    lab = Lab(("ams:1", "fra:1"))
    yield lab
    lab.stop()
    shutil.rmtree(lab.dir, ignore_errors=True)


# ---- files ----

def readers(lab):
    """Who reads which file of ours, and how it is asked to."""
    return {"agent": (lab["ams-1"].dir / "agent.yaml", lambda p: run(BIN / "pgregent-agent", "--config", p, "--check-config")),
            "coordinator": (lab.dir / "coordinator/coordinator.yaml", lambda p: run(BIN / "pgregent-coordinator", "--config", p, "--check-config")),
            "command": (lab.dir / "pgregent.yaml", lambda p: run(BIN / "pgregent", "-c", p, "status")),
            "topology": (lab.topology, lambda p: run(BIN / "pgregent", "validate", p))}


def cut_in_a_value(text):
    """Ends inside the last flow mapping or list, as a full disk or a broken copy leaves it."""
    return text[:max(text.rfind("}"), text.rfind("]")) - 3]


def second_line_again(text):
    return text + [line for line in text.splitlines() if not line.startswith(" ")][1] + "\n"


# what is done to the text, whether a position is known, what is said
MISTAKES = {
    "truncated": (cut_in_a_value, True, r"truncated\?"),
    "duplicate_key": (second_line_again, True, r"duplicate key, first at line \d+, column \d+"),
    "unknown_key": (lambda text: text + "tlz: 1\n", True, r"tlz: unknown key"),
    "misspelt_key": (lambda text: re.sub(r"^(coordinators?|cluster|listen)", r"\1x", text, count=1, flags=re.M), True, r'unknown key; did you mean "'),
    "missing_keys": (lambda text: text.splitlines()[0] + "\n", True, r"is missing"),
    "wrong_type": (lambda text: re.sub(r"^(tls|sites):", r"\1: 7\nother:", text, flags=re.M), True, r"(tls|sites): "),
    "alias": (lambda text: text + "a: &x 1\nb: *x\n", True, r"anchors \(&name\) are not allowed: write the value out"),
    "tab": (lambda text: text + "\ta: 1\n", True, r"a tab: indent with spaces"),
    "no_text": (lambda text: b"\x7fELF\x02\x01\x01\0\xff\xfe", True, r"UTF-8|control|not allowed"),
    "empty": (lambda text: "", False, r"empty: there is no document in it"),
    "missing_file": (None, False, r"no such file"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("reader", ["agent", "coordinator", "command", "topology"])
def test_mistakes_in_files(laid_out, reader, mistake):
    path, read = readers(laid_out)[reader]
    spoil, has_place, words = MISTAKES[mistake]
    fine = read(path)
    assert "unknown key" not in fine.stderr and fine.returncode != 2, fine
    with changed(path, spoil(path.read_text()) if spoil else None):
        said = read(path)
    assert said.returncode == 2, said
    place = re.escape(str(path)) + (r":\d+:\d+: " if has_place else ": ")
    assert re.search(place + ".*" + words, said.stdout + said.stderr), said


@pytest.mark.parametrize("old,new,words", [
    ("initial_primary: ams", "initial_primary: asm", "ams"),
    ("max_performance", "max_availability", "not built yet"),
    ("mode: manual", "mode: automatic", "not built yet"),
    ("fra-1:", "ams-1:", "ams-1"),
    ("version: 15", "version: 8", "version"),
    ("ttl: 6s", "ttl: 6", "unit|6s"),
    ("ttl: 6s", "ttl: 1s", "ttl|stop_time"),
    ("max_connections: 100", "port: 1", "port"),
    ('key: "ed25519:', 'key: "ed25519:x', "key"),
])
def test_topology_that_cannot_be(laid_out, old, new, words):
    """Well written, and impossible: the command says where, and sends nothing (no coordinator runs: sending would be exit 4)."""
    assert old in laid_out.topology.read_text()
    with changed(laid_out.topology, laid_out.topology.read_text().replace(old, new, 1)) as path:
        said, sent = run(BIN / "pgregent", "validate", path), laid_out.pgregent("apply", path, "--yes", "--reason", "test", check=False)
    assert said.returncode == 2 and sent.returncode == 2, (said, sent)
    assert re.search(rf"{re.escape(str(path))}:\d+:\d+: .*({words})", said.stdout + said.stderr), said


# ---- daemons that cannot start ----

@pytest.mark.parametrize("which", ["agent", "coordinator"])
def test_daemon_that_cannot_start(laid_out, which):
    """Each of its files and ports spoilt in turn: exit 1, a sentence that names the file and what to do. At the end it starts."""
    d = Started(laid_out, which)
    with changed(d.key, d.key.read_bytes(), 0o644):
        d.refuses(re.escape(str(d.key)), "mode 0644 lets others at it; it must be 0600 or 0400")
    with changed(d.key, "no key\n"):
        d.refuses(re.escape(str(d.key)), "is no private key")
    if os.geteuid() == 0:
        with changed(d.key, d.key.read_bytes()):
            shutil.chown(d.key, "postgres")
            d.refuses(re.escape(str(d.key)), "belongs to user")
    with changed(d.key, None):
        d.refuses(re.escape(str(d.key)), "no such file")
    with changed(d.certificate, certificate(laid_out, "of another CA", public_of(laid_out, d.tls), issuer="another CA")):
        d.refuses(re.escape(str(d.certificate)), "against CA file", "have it signed by this CA")
    if which == "coordinator":  # an agent goes on, see below
        with changed(d.certificate, certificate(laid_out, "expired", public_of(laid_out, d.tls), days=(-30, -1))):
            d.refuses(re.escape(str(d.certificate)), "has expired; renew it")
    with changed(d.certificate, certificate(laid_out, "of another key", public_of(laid_out, "alice"))):
        d.refuses(f"tls/{d.tls}", "belongs to the certificate")
    with changed(d.certificate, "no certificate\n"):
        d.refuses(re.escape(str(d.certificate)), "PEM")
    for port in (d.listen, d.health):
        with taken(port):
            d.refuses(f"127.0.0.1:{port}", "another program has this address")
    d.starts()


def test_damaged_state(laid_out):
    """The agent's memory is not guessed: what cannot be read stops the start. Restored, or removed as said, it starts."""
    d, state = Started(laid_out, "agent"), laid_out["ams-1"].state / "state.json"
    d.starts()
    text = state.read_text()
    for damage in ("", "{", text[:-9], "garbage", text.replace("instance", "instanze")):
        with changed(state, damage):
            d.refuses(re.escape(str(state)), "damaged: restore it, or remove the state directory")
            assert state.read_text() == damage, "a damaged file was written over"
    d.starts()
    shutil.rmtree(laid_out["ams-1"].state)
    laid_out["ams-1"].state.write_text("")
    d.refuses(re.escape(str(laid_out["ams-1"].state)) + ".*File exists")
    laid_out["ams-1"].state.unlink()
    d.starts()


def test_damaged_journal(laid_out):
    d, store = Started(laid_out, "coordinator"), laid_out.dir / "coordinator/store"
    d.starts()
    for name in os.listdir(store):
        if name != "store.db":
            (store / name).unlink()
    with changed(store / "store.db", "garbage, and no database\n" * 100):
        d.refuses(re.escape(str(store)), "damaged")
    d.starts()
