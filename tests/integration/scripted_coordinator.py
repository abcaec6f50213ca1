"""A coordinator under the test's control, in place of the product's: it signs with the same key, keeps what the sites
report, and gives them whatever the test puts before them, hostile orders included."""
import base64
import hashlib
import json
import ssl
import threading
import time
import urllib.parse
import uuid
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

TYPE = "application/vnd.pgregent.{}.v1+json"


def when(seconds=0):
    return (datetime.now(timezone.utc) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


class Key:
    def __init__(self, path):
        text = path.read_text().strip()
        self.private = Ed25519PrivateKey.from_private_bytes(base64.b64decode(text.partition(":")[2]))
        self.id = hashlib.sha256(self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:16]

    def seal(self, kind, document):
        """A DSSE envelope around the document."""
        payload, name = json.dumps(document).encode(), TYPE.format(kind)
        signed = b"DSSEv1 %d %s %d %s" % (len(name), name.encode(), len(payload), payload)
        return {"payload": base64.b64encode(payload).decode(), "payloadType": name,
                "signatures": [{"keyid": self.id, "sig": base64.b64encode(self.private.sign(signed)).decode()}]}


def opened(envelope):
    return json.loads(base64.b64decode(envelope["payload"]))


def hash_of(envelope):
    return hashlib.sha256(base64.b64decode(envelope["payload"])).hexdigest()


class ScriptedCoordinator:
    def __init__(self, lab):
        self.lab = lab
        self.key, self.operator = Key(lab.dir / "keys/par.ed25519"), Key(lab.dir / "keys/alice.ed25519")
        self.reports, self.sealed_reports, self.orders, self.topology, self.relay, self.term = {}, {}, {}, None, 1, 1
        self.changed = threading.Condition()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *words):
                pass

            def do_POST(self):
                outer.take_report(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.reply(200, {})

            def do_GET(self):
                url = urllib.parse.urlsplit(self.path)
                self.reply(*outer.answer(url.path, dict(urllib.parse.parse_qsl(url.query))))

            def reply(self, code, document):
                body = json.dumps(document).encode() if document is not None else b""
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(lab.dir / "tls/ca.crt")
        context.load_cert_chain(lab.dir / "tls/coordinator.crt", lab.dir / "tls/coordinator.key")
        self.server = Server(("127.0.0.1", lab.base), Handler)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    # -- the sites' side --

    def take_report(self, envelope):
        with self.changed:
            report = opened(envelope)
            self.reports[report["site"]] = report
            self.sealed_reports[report["site"]] = envelope
            self.relay += 1
            self.changed.notify_all()

    def answer(self, path, query):
        if path == "/v1/topology":
            return (200, {"envelope": self.topology, "version": 1}) if self.topology else (404, {"error": {"code": "not_found"}})
        site, end = query.get("site"), time.monotonic() + 1
        with self.changed:
            while True:
                order = self.orders.get(site)
                news = order if order and hash_of(order) != query.get("order") else None
                topology = self.topology if self.topology and hash_of(self.topology) != query.get("topology") else None
                if news or topology or time.monotonic() > end:
                    relayed = [e for s, e in self.sealed_reports.items() if s != site]
                    return 200, {"orders": [news] if news else [], "relay": self.relay, "relayed": relayed, "topology": topology}
                self.changed.wait(end - time.monotonic() + 0.01)

    # -- the test's side --

    def give_topology(self):
        document = {"cluster": "orders", "topology_version": 1, "previous": None, "file": self.lab.topology.read_text()}
        with self.changed:
            self.topology = self.operator.seal("topology", document)
            self.changed.notify_all()

    def request(self, verb, op, **more):
        return self.operator.seal("request", {"cluster": "orders", "op": op, "verb": verb, "operator_name": "alice", "reason": "test",
                                              "issued_at": when(), "expires_at": when(300), **more})

    def order(self, site, kind, epoch, role, **more):
        """An order that fits what the site holds, unless `more` says otherwise."""
        held = self.reports.get(site, {})
        system_id = next((r["system_id"] for r in self.reports.values() if r.get("system_id")), None)
        return {"cluster": "orders", "system_id": system_id, "site": site, "epoch": epoch, "successor": None,
                "serial": (held.get("order_serial") or 0) + 1, "base": held.get("order_hash") or "none", "coordinator": "par",
                "coordinator_term": max(self.term, held.get("coordinator_term") or 1), "op": held.get("order_op"), "kind": kind, "topology_version": 1, "issued": when(), "expires": when(300), "proofs": [], "role": role, "upstream_site": None,
                "upstream_lineage": [], "upstream_members": [], "slots": [], "deadline_ms": 0, "target": False, "checkpoint": False, **more}

    def give(self, document, key=None):
        """Puts an order before its site; returns its hash. `document` may be an envelope, too."""
        envelope = document if "payload" in document else (key or self.key).seal("order", document)
        with self.changed:
            self.orders[document["site"] if "site" in document else opened(envelope)["site"]] = envelope
            self.changed.notify_all()
        return hash_of(envelope)

    def upstream(self, site):
        return {"upstream_site": site, "upstream_lineage": self.reports[site]["lineage"],
                "upstream_members": [{"name": m.name, "host": "127.0.0.1", "port": m.port} for m in self.lab.site(site)]}

    def slots_for(self, site):
        name = site.replace("-", "_")
        return [{"name": f"pgregent_site_{name}", "kind": "site", "site": site}, {"name": f"pgregent_anchor_{name}", "kind": "anchor", "site": site}]

    def new_op(self):
        return str(uuid.uuid4())
