"""The main path: two sites from nothing, a move there and back, and what must hold meanwhile."""
import json
import shutil

import pytest
from conftest import Lab, Writer, wait_for

ACCEPTS_WRITES = "database system is ready to accept connections"
ACCEPTS_READS = "database system is ready to accept read-only connections"


def slots(member):
    rows = member.sql("SELECT slot_name, active, restart_lsn, wal_status FROM pg_replication_slots WHERE slot_type = 'physical' ORDER BY 1")
    return {line.split("|")[0]: line.split("|")[1:] for line in rows.splitlines()}


def opened_for_writes(member):
    """Lines of PostgreSQL's log that say that it accepts connections outside recovery."""
    return [line for line in member.postgres_log().splitlines() if line.endswith(ACCEPTS_WRITES)]


@pytest.fixture(scope="module")
def lab():
    """One healthy cluster for all that only look; the move is made by the last."""
    made = Lab().build()
    yield made
    made.stop()
    shutil.rmtree(made.dir, ignore_errors=True)


@pytest.mark.parametrize("sites", [("ams:1", "fra:1"), ("ams:2", "fra:2")], ids=["one_member_each", "two_members_each"])
def test_there_and_back(make_lab, sites):
    lab = make_lab(*sites).build()
    rows = Writer(lab)
    first = lab.status()
    assert first["primary_site"] == "ams" and first["epoch"] == "1.0"
    for site in ("fra", "ams"):
        rows.window()
        lab.switchover(site)
        lab.wait_healthy(site)
        print(f"switchover to {site}: {rows.window()['longest_gap_ms']} ms without an acknowledged commit")
    rows.end()
    verdict = rows.check()
    assert verdict["ok"], verdict
    assert lab.status()["epoch"] == "1.2"
    assert len(lab.writable_members()) == 1


def test_standby_site_is_never_anything_else(lab):
    """Before its first promotion the standby site never accepted connections outside recovery and has no timeline of its own."""
    for member in lab.site("fra"):
        assert ACCEPTS_READS in member.postgres_log()
        assert opened_for_writes(member) == []
        assert not list((member.data / "pg_wal").glob("*.history"))
        assert member.control()["Latest checkpoint's TimeLineID"] == "1"
        assert (member.data / "standby.signal").exists()


def test_slots_stand_before_the_copy(lab):
    """On the upstream's leader and on its replica, and what the copy began with is still held by each."""
    fra = lab["fra-1"]
    for member in lab.site("ams"):
        held = slots(member)
        assert "pgregent_site_fra" in held and "pgregent_anchor_fra" in held, held
        assert all(state[2] in ("reserved", "extended") for state in held.values()), held
    leader = next(m for m in lab.site("ams") if m.writable())
    assert slots(leader)["pgregent_site_fra"][0] == "t"
    log = lab.coordinator.log()
    assert fra.sql("SELECT slot_name FROM pg_stat_wal_receiver") in ("pgregent_site_fra", "pgregent_member_fra_1"), log[-3000:]


def test_health_endpoints_answer_as_patroni_would(lab):
    primary = lab.primary()
    leader = next(m for m in lab.site("fra") if m.health("/standby-leader")[0] == 200)
    replica = next(m for m in lab.site("fra") if m is not leader)
    local_replica = next(m for m in lab.site("ams") if m is not primary)
    expected = {
        "/primary": (200, 503, 503, 503),
        "/read-write": (200, 503, 503, 503),
        "/leader": (200, 200, 503, 503),
        "/standby-leader": (503, 200, 503, 503),
        "/replica": (503, 503, 200, 200),
        "/read-only": (200, 200, 200, 200),
        "/health": (200, 200, 200, 200),
        "/liveness": (200, 200, 200, 200),
        "/readiness": (200, 200, 200, 200),
    }
    members = (primary, leader, replica, local_replica)
    wait_for("everybody is ready", lambda: all(m.health("/readiness")[0] == 200 for m in members), 15)
    assert {path: tuple(m.health(path)[0] for m in members) for path in expected} == expected
    for member, role, state in ((primary, "primary", "running"), (leader, "standby_leader", "streaming"), (replica, "replica", "streaming")):
        code, body = member.health("/patroni")
        document = json.loads(body)
        assert code == 200 and document["role"] == role and document["state"] in (state, "running")
        assert document["patroni"]["scope"] == "orders" and document["timeline"] == 1
        assert ("replayed_location" in document["xlog"]) == (role != "primary")
    assert primary.health("/primary", "HEAD")[0] == 200 and primary.health("/replica", "OPTIONS")[0] == 503


def test_apply_again_changes_nothing(lab):
    before = lab.status()["topology_version"]
    lab.apply()
    assert lab.status()["topology_version"] == before


def test_the_writer_believes_a_commit_only(lab):
    """A row that the server undoes after "INSERT 0 1", at the commit, is none that a client was promised."""
    lab.primary().sql("""
        CREATE TABLE writer_rows (run bigint, client int, n bigint, at timestamptz DEFAULT clock_timestamp());
        ALTER TABLE writer_rows OWNER TO demo;
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''refused at the commit''; END';
        CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON writer_rows DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW WHEN (NEW.n % 3 = 0) EXECUTE FUNCTION refuse()""", database="demo")
    rows = Writer(lab)
    assert rows.end()["refused"] > 0
    verdict = rows.check()
    assert verdict["ok"], verdict
    lab.primary().sql("DROP TABLE writer_rows", database="demo")


def test_slots_turn_round(lab):
    """After a move the new primary site holds the old one's slots on every member, and the old ones are followed by nobody."""
    lab.switchover("fra")
    lab.wait_healthy("fra")

    def turned():
        return all({"pgregent_site_ams", "pgregent_anchor_ams"} <= slots(m).keys() for m in lab.site("fra"))

    wait_for("slots of ams on both members of fra", turned)
    leader = next(m for m in lab.site("fra") if m.writable())
    wait_for("the slot of ams is in use", lambda: slots(leader)["pgregent_site_ams"][0] == "t")
    stale = [m.sql("SELECT slot_name FROM pg_replication_slots WHERE NOT active AND xmin IS NOT NULL") for m in lab.members.values()]
    assert stale == [""] * 4, "an inactive slot that holds an xmin bloats the primary"
