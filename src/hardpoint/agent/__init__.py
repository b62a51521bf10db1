"""The agent: mounts another machine's hardware and attaches it to a server by the line dialect."""

from __future__ import annotations

from .main import run_agent
from .settings import AgentSettings

__all__ = ["AgentSettings", "run_agent"]
