"""Orders that are forged, altered, misdirected, expired, replayed or outdated: refused with a reason, nothing changed."""
import base64
import json

import pytest
from conftest import wait_for
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from scripted_coordinator import Key, ScriptedCoordinator, when


@pytest.fixture(scope="module")
def hostile(request):
    """A healthy cluster whose coordinator has fallen into the hands of the test."""
    from conftest import Lab
    import shutil
    lab = Lab(("ams:1", "fra:1")).build()
    lab.coordinator.end()
    taken = ScriptedCoordinator(lab)
    wait_for("both sites report", lambda: {"ams", "fra"} <= taken.reports.keys())
    taken.term = 1 + max(report["coordinator_term"] for report in taken.reports.values())
    taken.accepted = []
    for site in ("ams", "fra", "fra"):
        order = taken.key.seal("order", plain(taken, site))
        taken.accepted.append(order)
        hash_given = taken.give(order)
        wait_for("an order that fits is accepted", lambda: taken.reports[site]["order_hash"] == hash_given, 15)
    yield taken
    taken.close()
    lab.stop()
    shutil.rmtree(lab.dir, ignore_errors=True)


def stranger(lab):
    path = lab.dir / "stranger.ed25519"
    seed = Ed25519PrivateKey.generate().private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    path.write_text("pgregent-ed25519-secret:" + base64.b64encode(seed).decode() + "\n")
    return Key(path)


def altered(envelope, old, new):
    payload = base64.b64decode(envelope["payload"])
    assert old in payload
    return {**envelope, "payload": base64.b64encode(payload.replace(old, new)).decode()}


def plain(c, site="fra", **more):
    """An order that changes nothing, and would be accepted."""
    order = c.order(site, "prepare", "1.0@ams", "standby" if site == "fra" else "primary", **(c.upstream("ams") if site == "fra" else {}))
    return {**order, **more}


def alone(**more):
    return {"upstream_site": None, "upstream_lineage": [], "upstream_members": [], **more}


def forged(c):
    return stranger(c.lab).seal("order", plain(c))


def stop_without_request(c):
    return plain(c, "ams", kind="stop", role="stopped", successor="1.1@fra", deadline_ms=20000, op=c.new_op())


def promotion_without_receipt(c):
    op = c.new_op()
    return plain(c, kind="promote", epoch="1.1@fra", **alone(role="primary", op=op, proofs=[json.dumps(c.request("switchover", op, to="fra"))]))


def promotion_by_a_request_of_nobody(c):
    op = c.new_op()
    request = stranger(c.lab).seal("request", {"cluster": "orders", "op": op, "verb": "switchover", "to": "fra", "operator_name": "alice",
                                              "issued_at": when(), "expires_at": when(300)})
    return plain(c, kind="promote", epoch="1.1@fra", **alone(role="primary", op=op, proofs=[json.dumps(request)]))


HOSTILE = {
    "forged": (forged, "signed by no coordinator"),
    "altered": (lambda c: altered(c.key.seal("order", plain(c)), b'"checkpoint": false', b'"checkpoint": true '), "signed by no coordinator"),
    "signed_by_a_member": (lambda c: Key(c.lab.dir / "keys/ams-1.ed25519").seal("order", plain(c)), "signed by no coordinator"),
    "other_site": (lambda c: {**plain(c), "site": "ams", "role": "primary", "upstream_site": None, "upstream_members": [], "upstream_lineage": []}, "site"),
    "other_cluster": (lambda c: {**plain(c), "cluster": "invoices"}, "cluster invoices"),
    "other_system": (lambda c: {**plain(c), "system_id": "7000000000000000001"}, "7000000000000000001"),
    "expired": (lambda c: {**plain(c), "issued": when(-600), "expires": when(-300)}, "expire"),
    "replayed": (lambda c: c.accepted[1], "serial|base|replace"),
    "old_serial": (lambda c: {**plain(c), "serial": 1}, "serial"),
    "gap_in_serials": (lambda c: {**plain(c), "serial": 99}, "serial"),
    "other_base": (lambda c: {**plain(c), "base": "ab" * 32}, "base"),
    "old_term": (lambda c: {**plain(c), "coordinator_term": 1}, "term"),
    "lower_epoch": (lambda c: {**plain(c), "epoch": "0.9@ams"}, "epoch"),
    "stop_without_request": (stop_without_request, "request"),
    "promotion_without_receipt": (promotion_without_receipt, "receipt|no opened epoch"),
    "promotion_by_a_request_of_nobody": (promotion_by_a_request_of_nobody, "no operator"),
}


def state(c):
    keys = ("has_order", "order_hash", "order_serial", "order_epoch", "order_kind", "vote")
    held = {site: {k: c.reports[site][k] for k in keys} for site in ("ams", "fra")}
    return held, {m.name: m.postmaster() for m in c.lab.members.values()}, c.lab.writable_members()


@pytest.mark.parametrize("name", HOSTILE)
def test_refused(hostile, name):
    make, reason = HOSTILE[name]
    before = state(hostile)
    order = make(hostile)
    site = "ams" if name == "stop_without_request" else "fra"
    agent = hostile.lab[f"{site}-1"].agent
    logged = len(agent.log())
    envelope = order if "payload" in order else hostile.key.seal("order", order)
    with hostile.changed:
        hostile.orders = {site: envelope}
        hostile.changed.notify_all()
    line = wait_for("the refusal is logged with its reason", lambda: next((l for l in agent.log()[logged:].splitlines() if "refused" in l), None), 15)
    hostile.orders = {}
    assert any(word in line for word in reason.split("|")), line
    seen = len(hostile.reports[site]["members"]) and hostile.reports[site]["seq"]
    wait_for("a later report", lambda: hostile.reports[site]["seq"] > seen + 1)
    assert state(hostile) == before
