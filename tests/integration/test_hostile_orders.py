"""Orders that are forged, altered, misdirected, expired, replayed or outdated: refused with a reason, nothing changed.

The coordinator has fallen into the hands of the test: it has the coordinator's own key, every order and report that was
ever sent, and says what it likes. What it lacks are the keys of operators and members. Each hostile order stands alone:
but for the one thing that is wrong with it, it would fit. After each one an honest order must still be accepted."""
import base64
import json
import re
import shutil

import pytest
from conftest import Lab, wait_for
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from scripted_coordinator import Key, ScriptedCoordinator, hash_of, opened, when


@pytest.fixture(scope="module")
def hostile(request):
    """A healthy cluster, ams writing, whose coordinator is the test's. Operator bob may abort moves, and nothing else."""
    lab = Lab(("ams:1", "fra:1"))
    text = lab.topology.read_text()
    lab.topology.write_text(re.sub(r"(bob: .*may: \[)all\]", r"\1abort]", text))
    assert lab.topology.read_text() != text
    try:
        lab.build().coordinator.end()
        taken = ScriptedCoordinator(lab)
        wait_for("both sites report", lambda: {"ams", "fra"} <= taken.reports.keys())
        taken.term = 1 + max(report["coordinator_term"] for report in taken.reports.values())
        taken.accepted = [accept(taken, site) for site in ("ams", "fra", "fra")]
        yield taken
        taken.close()
    finally:
        if request.session.testsfailed:
            print(lab.logs())
        lab.stop()
        shutil.rmtree(lab.dir, ignore_errors=True)


# ---- what an attacker builds ----

def plain(c, site="fra", **more):
    """An order that changes nothing, and would be accepted."""
    upstream = c.upstream("ams") if site == "fra" else {}
    return {**c.order(site, "prepare", "1.0@ams", "standby" if site == "fra" else "primary", **upstream), **more}


def accept(c, site):
    order = c.key.seal("order", plain(c, site))
    digest = c.give(order)
    wait_for(f"an honest order is accepted: {site}", lambda: c.reports[site]["order_hash"] == digest, 20)
    c.orders = {}
    return order


def key_of(c, name):
    return Key(c.lab.dir / f"keys/{name}.ed25519")


def stranger(c):
    path = c.lab.dir / "stranger.ed25519"
    seed = Ed25519PrivateKey.generate().private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    path.write_text("pgregent-ed25519-secret:" + base64.b64encode(seed).decode() + "\n")
    return Key(path)


def flipped(text64):
    """Base64 with one bit of what it stands for turned round."""
    data = bytearray(base64.b64decode(text64))
    data[len(data) // 2] ^= 1
    return base64.b64encode(bytes(data)).decode()


def altered_payload(c):
    envelope = c.key.seal("order", plain(c))
    return {**envelope, "payload": flipped(envelope["payload"])}


def altered_signature(c):
    envelope = c.key.seal("order", plain(c))
    return {**envelope, "signatures": [{**envelope["signatures"][0], "sig": flipped(envelope["signatures"][0]["sig"])}]}


def altered_type(c):
    """The payload of an order with the signature that a report over the same bytes would have, and the other way round."""
    return {**c.key.seal("report", plain(c)), "payloadType": "application/vnd.pgregent.order.v1+json"}


def other_type(c):
    return c.key.seal("report", plain(c))


def no_signature(c):
    return {**c.key.seal("order", plain(c)), "signatures": []}


def alone(**more):
    return {"upstream_site": None, "upstream_lineage": [], "upstream_members": [], **more}


def request(c, op, key=None, **more):
    document = {"cluster": "orders", "op": op, "verb": "switchover", "to": "fra", "operator_name": "alice", "reason": "test",
                "deadline_ms": 60000, "issued_at": when(), "expires_at": when(300), **more}
    return json.dumps((key or c.operator).seal("request", document))


def stop(c, *proofs, op=None, **more):
    fitting = {"kind": "stop", "role": "stopped", "successor": "1.1@fra", "deadline_ms": 20000, "op": op or c.new_op(), "proofs": list(proofs)}
    return plain(c, "ams", **{**fitting, **more})


def asked_stop(c, key=None, said=None, **more):
    """A stop of the primary, with an operator's request in it that says `said` instead of what it should."""
    op = c.new_op()
    return stop(c, request(c, **{"op": op, "key": key, **(said or {})}), op=op, **more)


def altered_request(c):
    op = c.new_op()
    envelope = json.loads(request(c, op, to="ams"))
    payload = base64.b64decode(envelope["payload"]).replace(b'"to": "ams"', b'"to": "fra"')
    return stop(c, json.dumps({**envelope, "payload": base64.b64encode(payload).decode()}), op=op)


def promotion(c, *proofs, epoch="1.1@fra", **more):
    op = c.new_op()
    return plain(c, kind="promote", epoch=epoch, **alone(role="primary", op=op, deadline_ms=20000, proofs=[request(c, op), *proofs], **more))


def receipt(c, signer="ams-1", **more):
    """The receipt of a stop of ams that never was."""
    report = c.reports["ams"]
    document = {"cluster": "orders", "system_id": report["system_id"], "site": "ams", "member": "ams-1", "kind": "stopped", "epoch": "1.0@ams",
                "successor": "1.1@fra", "timeline": 1, "checkpoint": "0/5000028", "end": "0/50000A0", "crc": 12345, "lineage": report["lineage"],
                "order": report["order_hash"], "made_at": when(), "writes_refused_at": when(), "writes_accepted_at": None, **more}
    return json.dumps((signer if isinstance(signer, Key) else key_of(c, signer)).seal("receipt", document))


def second_birth(c):
    op = c.new_op()
    return plain(c, kind="birth", system_id=None, **alone(role="primary", epoch="1.0@fra", op=op, proofs=[request(c, op, verb="apply", create=True, to="")]))


def follow_without_stop(c):
    """Would turn the primary into a standby of a site that never opened."""
    return {**plain(c, "ams", kind="follow", role="standby", epoch="1.1@fra"), **c.upstream("fra")}


def abort_without_decline(c):
    op = c.new_op()
    return plain(c, "ams", kind="abort", epoch="1.2@ams", op=op, proofs=[request(c, op)])


# name: (who makes it, what its refusal says)
HOSTILE = {
    # not authentic
    "forged": (lambda c: stranger(c).seal("order", plain(c)), "signed by no coordinator"),
    "altered_payload": (altered_payload, "signed by no coordinator"),
    "altered_signature": (altered_signature, "signed by no coordinator"),
    "altered_type": (altered_type, "signed by no coordinator"),
    "other_type": (other_type, "report.v1+json"),
    "no_signature": (no_signature, "signature"),
    "signed_by_a_member": (lambda c: key_of(c, "ams-1").seal("order", plain(c)), "signed by no coordinator"),
    "signed_by_an_operator": (lambda c: c.operator.seal("order", plain(c)), "signed by no coordinator"),
    "unknown_coordinator": (lambda c: plain(c, coordinator="muc"), "names coordinator muc, signed by par"),
    # not for this site, this cluster, this database
    "other_site": (lambda c: plain(c, site="fra", **{"role": "standby"}) | {"site": "ams"}, "3.1 order for site ams"),
    "other_cluster": (lambda c: plain(c, cluster="invoices"), "cluster invoices"),
    "other_system": (lambda c: plain(c, system_id="7000000000000000001"), "3.8 order for system 7000000000000000001"),
    # not next in line
    "expired": (lambda c: plain(c, issued=when(-600), expires=when(-300)), "3.5 expired"),
    "replayed": (lambda c: c.accepted[1], "3.2 base"),
    "old_serial": (lambda c: plain(c, serial=1), "3.2 serial 1 "),
    "gap_in_serials": (lambda c: plain(c, serial=99), "3.2 serial 99 "),
    "other_base": (lambda c: plain(c, base="ab" * 32), "3.2 base abab"),
    "base_none": (lambda c: plain(c, base="none", serial=1), "3.2 base none"),
    "base_any": (lambda c: plain(c, base="any"), "3.6 base any"),
    "lower_term": (lambda c: plain(c, coordinator_term=c.reports["fra"]["coordinator_term"] - 1), "3.3 coordinator term"),
    "lower_epoch": (lambda c: plain(c, epoch="1.0@ala"), "3.2 epoch 1.0@ala is below"),
    # nobody who may asked for it
    "stop_without_request": (lambda c: stop(c), "without the request of an operator"),
    "stop_by_one_without_the_right": (lambda c: asked_stop(c, key_of(c, "bob"), {"operator_name": "bob"}), "operator bob may not switchover"),
    "stop_in_the_name_of_another": (lambda c: asked_stop(c, key_of(c, "bob")), "request names alice, signed by bob"),
    "stop_asked_by_nobody": (lambda c: asked_stop(c, stranger(c)), "request signed by no operator"),
    "stop_asked_by_the_coordinator": (lambda c: asked_stop(c, c.key), "request signed by no operator"),
    "stop_with_an_altered_request": (altered_request, "request signed by no operator"),
    "stop_for_another_operation": (lambda c: asked_stop(c, said={"op": c.new_op()}), "the request is for"),
    "stop_for_another_target": (lambda c: asked_stop(c, said={"to": "ams"}), "the request is to switchover to ams"),
    "stop_with_a_request_to_apply": (lambda c: asked_stop(c, said={"verb": "apply", "to": ""}), "the request is to apply"),
    "stop_with_an_old_request": (lambda c: asked_stop(c, said={"issued_at": when(-900), "expires_at": when(-600)}), "3.5 the request"),
    "stop_of_another_cluster": (lambda c: asked_stop(c, said={"cluster": "invoices"}), "request of cluster invoices"),
    "stop_in_favour_of_itself": (lambda c: asked_stop(c, said={"to": "ams"}, successor="1.1@ams"), "2.5b successor 1.1@ams"),
    "stop_into_a_higher_generation": (lambda c: asked_stop(c, successor="2.0@fra"), "2.6c generation"),
    # nothing closes the epoch that is open
    "promotion_without_receipt": (promotion, "2.6"),
    "promotion_by_nobody": (lambda c: plain(c, kind="promote", epoch="1.1@fra", **alone(role="primary", op=c.new_op())), "without the request"),
    "promotion_for_another_successor": (lambda c: promotion(c, receipt(c, successor="1.2@fra")), "2.6a the receipt for 1.0@ams passes to 1.2@fra, not to 1.1@fra"),
    "promotion_by_a_forged_receipt": (lambda c: promotion(c, receipt(c, stranger(c))), "receipt signed by no member"),
    "promotion_by_its_own_receipt": (lambda c: promotion(c, receipt(c, "fra-1")), "receipt names ams/ams-1, signed by fra/fra-1"),
    "promotion_by_a_receipt_of_its_own": (lambda c: promotion(c, receipt(c, "fra-1", site="fra", member="fra-1")), "2.6a no receipt of ams closes 1.0@ams"),
    "promotion_by_the_coordinator": (lambda c: promotion(c, receipt(c, c.key)), "receipt signed by no member"),
    "promotion_of_another_system": (lambda c: promotion(c, receipt(c, system_id="7000000000000000001")), "2.5b receipt of system 7000000000000000001"),
    "promotion_of_another_cluster": (lambda c: promotion(c, receipt(c, cluster="invoices")), "receipt of cluster invoices"),
    "promotion_into_a_higher_generation": (lambda c: promotion(c, receipt(c, successor="2.0@fra"), epoch="2.0@fra"), "2.6c generation"),
    "second_birth": (second_birth, "3.8 "),
    "follow_without_stop": (follow_without_stop, "2.5 1.0@ams is open"),
    "abort_without_decline": (abort_without_decline, "2.6a no receipt"),
    "prepare_that_promotes": (lambda c: plain(c, **alone(role="primary", epoch="1.1@fra")), "3.1 prepare here has role standby"),
}
AT_THE_PRIMARY = ("stop_", "follow_", "abort_")


# ---- what must hold ----

HELD = ("has_order", "order_hash", "order_serial", "order_epoch", "order_kind", "order_role", "coordinator_term", "vote", "receipts", "stop_state", "topology_hash")


def state(c):
    """All that an order could change: what each site holds, its postmaster, which of them writes."""
    held = {site: {k: c.reports[site][k] for k in HELD if k != "receipts"} for site in ("ams", "fra")}
    receipts = {site: [opened(json.loads(r)) for r in c.reports[site]["receipts"]] for site in ("ams", "fra")}
    return held, receipts, {m.name: (m.postmaster(), m.sql("SELECT pg_is_in_recovery(), pg_postmaster_start_time()")) for m in c.lab.members.values()}


def await_reports(c, site, beyond=1):
    seen = c.reports[site]["seq"]
    wait_for(f"{site} goes on reporting", lambda: c.reports[site]["seq"] >= seen + beyond, 20)


@pytest.mark.parametrize("name", HOSTILE)
def test_order_is_refused(hostile, name):
    make, reason = HOSTILE[name]
    site = "ams" if name.startswith(AT_THE_PRIMARY) else "fra"
    agent, before = hostile.lab[f"{site}-1"].agent, state(hostile)
    logged, order = len(agent.log()), make(hostile)
    envelope = order if "payload" in order else hostile.key.seal("order", order)
    with hostile.changed:
        hostile.orders = {site: envelope}
        hostile.changed.notify_all()

    line = wait_for("the refusal is logged with its reason", lambda: next((l for l in agent.log()[logged:].splitlines() if "order refused" in l), None), 20)
    assert reason in line, line
    assert re.search(r'reason="\d\.\d', line), f"names no rule: {line}"
    wait_for("the refusal is reported with its reason", lambda: reason in (hostile.reports[site]["refused_reason"] or ""), 20)
    if "3.2 not authentic" not in line:
        assert hostile.reports[site]["refused_hash"] == hash_of(envelope)
    await_reports(hostile, site)
    assert agent.log()[logged:].count("order refused") <= 3, "offered again and again, one order floods the log"
    hostile.orders = {}
    assert state(hostile) == before

    accept(hostile, site)
    assert state(hostile)[2] == before[2]


def topology(c, key=None, **more):
    held = c.reports["fra"]
    return (key or c.operator).seal("topology", {"cluster": "orders", "topology_version": held["topology_version"] + 1, "previous": held["topology_hash"],
                                                 "file": c.lab.topology.read_text(), **more})


HOSTILE_TOPOLOGIES = {
    "forged": (lambda c: topology(c, stranger(c)), "signed by no"),
    "signed_by_the_coordinator": (lambda c: topology(c, c.key), "signed by no"),
    "signed_by_one_without_the_right": (lambda c: topology(c, key_of(c, "bob")), "bob|apply|signed by no"),
    "older": (lambda c: topology(c, topology_version=1, file=c.lab.topology.read_text() + "# older\n"), "not newer|version"),
    "truncated": (lambda c: topology(c, file=c.lab.topology.read_text()[:400]), "line|:\\d+:\\d+:"),
    "of_another_cluster": (lambda c: topology(c, cluster="invoices", file=c.lab.topology.read_text().replace("cluster: orders", "cluster: invoices")), "invoices"),
    }


@pytest.mark.parametrize("name", HOSTILE_TOPOLOGIES)
def test_topology_is_refused(hostile, name):
    """A coordinator can hold the topology back, and no more: not make one, not bring an old one."""
    make, reason = HOSTILE_TOPOLOGIES[name]
    agent, before = hostile.lab["fra-1"].agent, state(hostile)
    logged = len(agent.log())
    with hostile.changed:
        hostile.topology = make(hostile)
        hostile.changed.notify_all()
    line = wait_for("the refusal is logged with its reason", lambda: next((l for l in agent.log()[logged:].splitlines() if "topology refused" in l), None), 20)
    assert re.search(reason, line), line
    await_reports(hostile, "fra")
    assert agent.log()[logged:].count("topology refused") <= 3, "offered again and again, one topology floods the log"
    hostile.topology = None
    assert state(hostile) == before
    accept(hostile, "fra")


def test_relayed_report_is_refused(hostile):
    """Another site's words, made up: that ams opened a far higher epoch would fence fra for ever."""
    agent, before = hostile.lab["fra-1"].agent, state(hostile)
    logged, report = len(agent.log()), dict(hostile.reports["ams"])
    report["vote"] = {**report["vote"], "opened": "9.0@ams", "promised": "9.0@ams"}
    with hostile.changed:
        hostile.sealed_reports["nowhere"] = stranger(hostile).seal("report", report)
        hostile.relay += 1
        hostile.changed.notify_all()
    wait_for("the refusal is logged", lambda: re.search("relayed report refused.*signed by no member", agent.log()[logged:]), 20)
    with hostile.changed:
        del hostile.sealed_reports["nowhere"]
    await_reports(hostile, "fra")
    assert state(hostile) == before
    accept(hostile, "fra")
