"""Ports that are drawn are the drawing process's own, before anything listens on them."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import process
from tests.servers.errors import ServerUnavailable

ROOT = Path(__file__).parents[2]
DRAW = """
from tests.servers import process
process.PORTS = range({port}, {port} + 1)
print(process.free_port())
"""


def test_no_port_is_drawn_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    port = process.free_port()
    monkeypatch.setattr(process, "PORTS", range(port, port + 1))
    with pytest.raises(ServerUnavailable, match="no free port"):
        process.free_port()


def test_another_process_does_not_draw_what_was_drawn_here() -> None:
    command = [sys.executable, "-c", DRAW.format(port=process.free_port())]
    drawn = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "no free port" in drawn.stderr
