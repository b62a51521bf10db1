"""Mutate MQTT packets for as long as asked, and look for what must never happen.

    python tests/fuzz/fuzz_mqtt.py --seconds 600 [--seed 1]

The decoder must raise nothing, read the same packets and refuse with the same reason however the bytes are cut, and
what it reads must be read the same again once it is encoded. A finding is printed with its bytes; exit code 1.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
from hardpoint.wire.mqtt.decoder import PacketDecoder
from hardpoint.wire.mqtt.encoder import encode
from wire.mqtt.vectors import BAD, BAD_CONNECTS, CONNECTS, FROM_CLIENT, HELLO

FIRST = [*HELLO.values(), *(data for data, _ in (*CONNECTS.values(), *BAD_CONNECTS.values()))]
NEXT = [data for _, data, _ in (*FROM_CLIENT.values(), *BAD.values())]
GRAINS = [b"\0", b"\1", b"\x7f", b"\x80", b"\xff", b"#", b"+", b"\xed\xa0\x80", b"\x26\0\1k\0\1v", b"\x23\0\1"]
MAX_PACKET_BYTES = 4096


def mutated(rng: random.Random) -> bytes:
    data = bytearray(rng.choice(FIRST) + b"".join(rng.choices(NEXT, k=rng.randrange(4))))
    for _ in range(rng.choice((0, 1, 1, 2, 4, 8))):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(4)
        if kind == 0:
            data[at:at] = rng.choice(GRAINS)
        elif kind == 1:
            del data[at : at + rng.choice((1, 1, 2, 10))]
        elif kind == 2:
            data[at : at + 1] = bytes([rng.randrange(256)])
        else:
            data[at:at] = data[at : at + rng.randrange(30)]
    return bytes(data)


def drive(pieces: list[bytes]) -> tuple[list[object], int | None, int]:
    decoder = PacketDecoder(max_packet_bytes=MAX_PACKET_BYTES)
    packets: list[object] = [packet for piece in pieces for packet in decoder.receive(piece)]
    return packets, decoder.refused and decoder.refused.reason, decoder.version


def wrong(data: bytes, cuts: list[int]) -> str | None:
    """What is wrong with how these bytes are read, if something is."""
    whole = drive([data])
    at = sorted(cuts)
    pieces = drive([data[a:b] for a, b in zip([0, *at], [*at, len(data)], strict=True)])
    if pieces != whole:
        return f"cut at {cuts}: {pieces}, whole {whole}"
    packets, _, version = whole
    again = drive([b"".join(encode(packet, version) for packet in packets)])
    if again[0] != packets and version != 3:  # 3.1 leaves fields out that it has flagged
        return f"encoded and read again: {again[0]}, first {packets}"
    return None


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=60)
    options.add_argument("--seed", type=int, default=None)
    chosen = options.parse_args()
    seed = random.randrange(1 << 32) if chosen.seed is None else chosen.seed
    rng = random.Random(seed)
    end = time.monotonic() + chosen.seconds
    count = 0
    while time.monotonic() < end:
        data = mutated(rng)
        found = wrong(data, [rng.randrange(len(data) + 1) for _ in range(rng.choice((1, 2, 5)))])
        count += 1
        if found is not None:
            print(f"seed {seed}, case {count}: {found}\n{data!r}")
            return 1
    print(f"seed {seed}: {count} cases, nothing found")
    return 0


if __name__ == "__main__":
    sys.exit(main())
