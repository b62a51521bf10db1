"""Mutate WebSocket frames for as long as asked, and look for what must never happen.

    python tests/fuzz/fuzz_websocket.py --seconds 600 [--seed 1]

The codec must raise nothing, give the same events however the bytes are cut, keep no more than its limits allow, and
end with a close or a failure where there is one. A finding is printed with its bytes; exit code 1.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "wire"))
from test_websocket_codec import BAD, GOOD, GRAINS, SMALL, alike, deflated, drive, frame, split, unmasked

from hardpoint.wire.websocket import CLOSE, FAILED, Agreement, WebSocketCodec

MASKED = [*GRAINS, *(data for data, _ in GOOD.values()), *(data for _, data in BAD.values())]
MASKED += [frame(0xC2, deflated(bytes(size))) for size in (10, 999, 1000, 1001, 100_000)]
PLAIN = [unmasked(data) for data, _ in GOOD.values()]
MAX_KEPT_BYTES = SMALL.max_message_bytes + 14
AGREEMENTS = [None, Agreement(), Agreement(15, 9, False, False)]


def mutated(rng: random.Random, seeds: list[bytes]) -> bytes:
    data = bytearray(b"".join(rng.choices(seeds, k=rng.choice((1, 1, 2, 3, 6)))))
    for _ in range(rng.choice((0, 1, 1, 2, 4, 8))):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(5)
        if kind == 0:
            data[at:at] = rng.choice(seeds)
        elif kind == 1:
            del data[at : at + rng.choice((1, 1, 2, 10))]
        elif kind == 2:
            data[at : at + 1] = bytes([rng.randrange(256)])
        elif kind == 3 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        else:
            data[at:at] = data[at : at + rng.randrange(30)]
    return bytes(data)


def wrong(data: bytes, cuts: list[int], agreement: Agreement | None, *, client: bool) -> str | None:
    """What is wrong with how these bytes are read, if something is."""
    try:
        codec = WebSocketCodec(SMALL, client=client, agreement=agreement)
        whole = drive(codec, [data])
        again = WebSocketCodec(SMALL, client=client, agreement=agreement)
        pieces = drive(again, split(data, cuts))
    except Exception:
        return traceback.format_exc()
    if not alike(pieces, whole):
        return f"cut at {cuts}: {pieces}, whole: {whole}"
    if any(event[0] in (CLOSE, FAILED) for event in whole[:-1]):
        return f"something behind the end: {whole}"
    if max(codec.buffered_bytes, again.buffered_bytes) > MAX_KEPT_BYTES:
        return f"{codec.buffered_bytes} bytes are kept"
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
        client = rng.random() < 0.3
        data = mutated(rng, PLAIN if client else MASKED)
        cuts = [rng.randrange(len(data) + 1) for _ in range(rng.choice((1, 2, 5)))]
        found = wrong(data, cuts, rng.choice(AGREEMENTS), client=client)
        count += 1
        if found is not None:
            print(f"seed {seed}, case {count}: {found}\n{data!r}")
            return 1
    print(f"seed {seed}: {count} cases, nothing found")
    return 0


if __name__ == "__main__":
    sys.exit(main())
