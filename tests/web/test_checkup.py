"""The doctor's checks from inside a running server: one look at a time, never on the loop's thread."""

from __future__ import annotations

import asyncio
import threading

import msgspec
import pytest

from hardpoint import Server
from hardpoint.checks import Check
from hardpoint.testing import FakeClock, HttpDevice
from hardpoint.web import checkup as checkup_module
from hardpoint.web import shapes
from hardpoint.web.checkup import KEPT_MS, Checkup

FINE = Check("python", "ok", "3.14")
SHORT = Check("space", "warn", "0.50 GiB free", "free some")
FULL = Check("space", "fail", "0.01 GiB free", "free some")


class Doctor:
    """Yields ``found``, and counts how often it is asked. A check that is an event is waited for."""

    def __init__(self, *found):
        self.found = found
        self.looks = 0
        self.threads = set()

    def __call__(self):
        self.looks += 1
        self.threads.add(threading.current_thread())
        for each in self.found:
            if isinstance(each, threading.Event):
                each.wait()
            elif isinstance(each, Exception):
                raise each
            else:
                yield each


def test_a_look_is_made_on_a_thread_and_kept_for_a_minute(anyrun):
    async def scene():
        doctor, clock = Doctor(FINE, SHORT), FakeClock()
        checkup = Checkup(doctor, clock)
        first = await checkup.document()
        assert first == {
            "at": clock.now_ms,
            "done": True,
            "ok": True,
            "checks": [
                {"id": "python", "status": "ok", "seen": "3.14", "fix": None},
                {"id": "space", "status": "warn", "seen": "0.50 GiB free", "fix": "free some"},
            ],
        }
        assert threading.current_thread() not in doctor.threads
        clock.advance(ms=KEPT_MS - 1)
        assert await checkup.document() == first
        assert doctor.looks == 1
        doctor.found = (FULL,)
        assert not (await checkup.document(anew=True))["ok"]
        clock.advance(ms=KEPT_MS)
        assert (await checkup.document())["at"] == clock.now_ms
        assert doctor.looks == 3

    anyrun(scene())


def test_who_asks_meanwhile_waits_for_the_same_look(anyrun):
    async def scene():
        gate = threading.Event()
        doctor = Doctor(FINE, gate, SHORT)
        checkup = Checkup(doctor, lambda: 0)
        asked = [asyncio.ensure_future(checkup.document(anew=True)) for _ in range(3)]
        while not doctor.looks:
            await asyncio.sleep(0)
        gate.set()
        documents = await asyncio.gather(*asked)
        assert all(len(document["checks"]) == 2 for document in documents)
        assert doctor.looks == 1

    anyrun(scene())


def test_a_check_without_an_end_holds_nobody_up(anyrun, monkeypatch):
    monkeypatch.setattr(checkup_module, "PATIENCE_S", 0.05)

    async def scene():
        gate = threading.Event()
        doctor = Doctor(FINE, gate, SHORT)
        checkup = Checkup(doctor, lambda: 0)
        try:
            found = await checkup.document()
            assert not found["done"]
            assert [each["id"] for each in found["checks"]] in ([], ["python"])  # a thread may begin late
            assert not (await checkup.document(anew=True))["done"]
        finally:
            gate.set()
        while not (await checkup.document())["done"]:
            pass
        assert doctor.looks == 1

    anyrun(scene())


def test_a_look_that_failed_is_not_kept(anyrun):
    async def scene():
        doctor = Doctor(RuntimeError("stopping"))
        checkup = Checkup(doctor, lambda: 0)
        with pytest.raises(RuntimeError, match="stopping"):
            await checkup.document()
        doctor.found = (FINE,)
        assert len((await checkup.document())["checks"]) == 1

    anyrun(scene())


def test_a_server_examines_itself(run, tmp_path):
    async def scene():
        server = Server(
            data=tmp_path / "data",
            listen=["line://127.0.0.1:0", "http://127.0.0.1:0"],
            host={"enabled": False},
        )
        async with server, HttpDevice("127.0.0.1", server.ports["http"]) as client:
            (tmp_path / "data").chmod(0o755)
            secret, _ = await server._running.web.accounts.add_token("admin", "admin", [], None, "test")
            answer = await client.request(
                "GET", "/api/system/checks?anew=true", b"", {"Authorization": f"Bearer {secret}"}
            )
            found = msgspec.convert(answer.json(), shapes.Checkup, strict=True)
            assert found.done
            by_id = {check.id: check for check in found.checks}
            assert by_id["server"].status == "ok"
            answering = [check.seen for check in found.checks if check.id == "listener"]
            assert answering == [f"{scheme} answers at 127.0.0.1:{server.ports[scheme]}" for scheme in ("line", "http")]
            opened = by_id["data"]
            assert (opened.status, opened.fix) == ("warn", f"chmod 700 {tmp_path / 'data'}")

    run(scene())
