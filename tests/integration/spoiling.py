"""What the tests of bad input spoil with: files changed for a while, wrong certificates, ports taken, and the two daemons as
things that start or refuse to."""
import datetime
import os
import re
import socket
import subprocess
from contextlib import contextmanager

from conftest import wait_for
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID


def run(*command, timeout=20):
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)


@contextmanager
def changed(path, content, mode=None):
    """The file with other content; afterwards as it was. None: away."""
    before, keep = path.read_bytes(), path.stat()
    path.unlink()
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(keep.st_mode & 0o7777 if mode is None else mode)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)
        path.write_bytes(before)
        path.chmod(keep.st_mode & 0o7777)
        os.chown(path, keep.st_uid, keep.st_gid)


def certificate(lab, name, public, serial=1, issuer=None, days=(-30, 30)):
    """A certificate of the lab's CA key; of another CA's name with `issuer`."""
    key, now = serialization.load_pem_private_key((lab.dir / "tls/ca.key").read_bytes(), None), datetime.datetime.utcnow()
    by = x509.load_pem_x509_certificate((lab.dir / "tls/ca.crt").read_bytes()).subject if not issuer else x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)])
    made = (x509.CertificateBuilder().subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])).issuer_name(by).public_key(public)
            .serial_number(serial).not_valid_before(now + datetime.timedelta(days[0])).not_valid_after(now + datetime.timedelta(days[1])).sign(key, hashes.SHA256()))
    return made.public_bytes(serialization.Encoding.PEM)


def public_of(lab, name):
    return serialization.load_pem_private_key((lab.dir / f"tls/{name}.key").read_bytes(), None).public_key()


class Started:
    """One of the two daemons, its files and its ports."""

    def __init__(self, lab, which):
        agent = which == "agent"
        self.lab, self.daemon = lab, lab["ams-1"].agent if agent else lab.coordinator
        self.tls, self.key = ("ams-1", lab.dir / "keys/ams-1.ed25519") if agent else ("coordinator", lab.dir / "keys/par.ed25519")
        self.listen, self.health = (lab["ams-1"].agent_port, lab["ams-1"].health_port) if agent else (lab.base, lab.base + 2)
        self.ready = "agent started" if agent else "coordinator runs"
        self.certificate = lab.dir / f"tls/{self.tls}.crt"

    def refuses(self, *words):
        logged = len(self.daemon.log())
        code = self.daemon.start().process.wait(20)
        self.daemon.process = None
        said = self.daemon.log()[logged:]
        assert code == 1, (code, said)
        for word in words:
            assert re.search(word, said), (word, said)

    def starts(self):
        logged = len(self.daemon.log())
        self.daemon.start()
        wait_for(lambda: self.daemon.log()[logged:], lambda: self.ready in self.daemon.log()[logged:], 20)
        assert self.daemon.end() == 0


@contextmanager
def taken(port):
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen()
        yield
