"""What a message costs over TLS 1.3: server CPU of a 64-byte line echo, against stock asyncio and uvloop.

    python benchmarks/loop/tls.py

Volleys over a fixed number of connections on one core (rig.py says why). Not measured here: handshakes.
"""

from __future__ import annotations

import argparse
import sys

from rig import CERTIFICATE, HERE, Round, available, compare, cores, head, play, server, take_turns


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--servers", default="asyncio,hardpoint,uvloop", help="comma-separated (%(default)s)")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--round-s", type=float, default=0.5)
    given = parser.parse_args()
    names = available(given.servers.split(","))
    head()
    print(f"\nTLS volley, {given.connections} connections, {given.rounds} rounds of {given.round_s:g} s")
    found: dict[str, list[Round]] = {name: [] for name in names}

    def one(name: str) -> Round:
        with server(name, HERE, tls=True) as target:
            arguments = [target.port, given.connections, given.round_s, CERTIFICATE]
            return play(target, cores()[0], [sys.executable, HERE / "tls_load.py", *arguments])

    take_turns(found, given.rounds, one)
    compare(found, names[0])


if __name__ == "__main__":
    main()
