"""kill -9 of coordinator, agents, dead-men and PostgreSQL at once; then all is started again."""
from conftest import Writer, wait_for


def test_everything_killed(lab):
    rows = Writer(lab)
    lab.switchover("fra")
    lab.wait_healthy("fra")
    lab.kill_all()
    for m in lab.members.values():
        assert (m.data / "standby.signal").exists(), f"{m.name}: a directory at rest is a standby"
    lab.start()
    lab.wait_healthy("fra", timeout=90)
    assert lab.status()["epoch"] == "1.1"
    rows.window()
    wait_for("rows are accepted again", lambda: rows.window()["acknowledged"] > 0, every=0.5)
    rows.end()
    verdict = rows.check()
    assert verdict["ok"], verdict
    lab.switchover("ams")
    lab.wait_healthy("ams")


def test_primary_site_waits_while_it_cannot_ask(lab):
    """Isolated start: the primary site comes back alone, and stays closed until the other site has confirmed."""
    lab.kill_all()
    for m in lab.site("ams"):
        m.agent.start()
    waiting = lambda: any("primary-unconfirmed" in m.agent.log() for m in lab.site("ams"))
    wait_for("the primary site waits to be confirmed", waiting)
    assert lab.writable_members() == []
    lab.start()
    lab.wait_healthy("ams", timeout=90)
