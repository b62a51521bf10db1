"""Mutate HTTP requests for as long as asked, and look for what must never happen.

    python tests/fuzz/fuzz_http1.py --seconds 600 [--seed 1] [--corpus FOLDER]

The parser must raise `RequestRefused` or nothing, read the same messages and refuse with the same status however the
bytes are cut, and, where it accepts, read what h11 and llhttp read. A finding is printed with its bytes; exit code 1.

It is guided by coverage: what takes the parser along an edge that nothing took before joins the seeds, so that deep
states are reached by steps. With ``--corpus`` these are kept, and taken up by the next run. The first seeds are the
parser's own test cases and llhttp's vectors.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "wire"))
sys.path.insert(0, str(Path(__file__).parent))
from edges import Edges
from test_http1 import BAD, GOOD, GRAINS, ROOMY, SMALL, by_h11, by_llhttp, by_us, drive, split

from hardpoint.wire.http1 import HttpLimits, RequestParser

VECTORS = Path(__file__).parent.parent / "conformance" / "http" / "vectors" / "llhttp.json"
SEEDS = [
    *GOOD.values(),
    *(data for _, _, data in BAD.values()),
    *(case["request"].encode("latin-1") for case in json.loads(VECTORS.read_text())["cases"]),
]
PARSER = ("wire/http1.py", "wire/http_head.py")
MAX_SEED_BYTES = 4096
"""Larger ones are not kept: they say little more, and make everything behind them slower."""


def mutated(rng: random.Random) -> bytes:
    data = bytearray(b"".join(rng.choices(SEEDS, k=rng.choice((1, 1, 1, 2, 3)))))
    for _ in range(rng.choice((0, 1, 1, 2, 4, 8))):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(6)
        if kind == 0:
            data[at:at] = rng.choice(GRAINS)
        elif kind == 1:
            del data[at : at + rng.choice((1, 1, 2, 10))]
        elif kind == 2:
            data[at : at + 1] = bytes([rng.randrange(256)])
        elif kind == 3:
            other = rng.choice(SEEDS)
            start = rng.randrange(len(other))
            data[at:at] = other[start : start + rng.randrange(40)]
        elif kind == 4:
            data[at:at] = data[at : at + rng.randrange(30)]
        else:
            data[at : at + 1] = rng.choice((b"\r", b"\n", b"\r\n", b" ", b"\t", b"\0", b":", b"0", b"\xff"))
    return bytes(data)


def wrong(data: bytes, cuts: list[int], limits: HttpLimits) -> str | None:
    """What is wrong with how these bytes are read, if something is."""
    whole, refused = drive(RequestParser(limits), [data])
    pieces, refused_too = drive(RequestParser(limits), split(data, cuts))
    if [m.facts() for m in pieces] != [m.facts() for m in whole]:
        return f"cut at {cuts}: other messages"
    statuses = [None if each is None else each.answer for each in (refused, refused_too)]
    if None in statuses and statuses != [None, None]:
        return f"cut at {cuts}: {statuses}"
    # Of bytes that are malformed as well as too many, either may be told first.
    if statuses[0] != statuses[1] and not {414, 431} & {*statuses}:
        return f"cut at {cuts}: {statuses}"
    ours = by_us(data)
    if ours:
        for oracle in (by_h11, by_llhttp):
            theirs = oracle(data)
            if theirs is not None:
                shared = min(len(ours), len(theirs))
                if ours[:shared] != theirs[:shared]:
                    return f"{oracle.__name__} reads {theirs}, we read {ours}"
    return None


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=60)
    options.add_argument("--seed", type=int, default=None)
    options.add_argument("--corpus", type=Path, default=None, help="a folder for what reached something new")
    chosen = options.parse_args()
    seed = random.randrange(1 << 32) if chosen.seed is None else chosen.seed
    rng = random.Random(seed)
    if chosen.corpus is not None:
        chosen.corpus.mkdir(parents=True, exist_ok=True)
        SEEDS.extend(path.read_bytes() for path in sorted(chosen.corpus.iterdir()))
    edges = Edges(PARSER)
    for data in SEEDS:
        for limits in (SMALL, ROOMY):
            edges.reached(lambda data=data, limits=limits: drive(RequestParser(limits), [data]))
    end = time.monotonic() + chosen.seconds
    count = kept = 0
    while time.monotonic() < end:
        data = mutated(rng)
        cuts = [rng.randrange(len(data) + 1) for _ in range(rng.choice((1, 2, 5)))]
        limits = rng.choice((SMALL, ROOMY))
        fresh = edges.reached(lambda data=data, limits=limits: drive(RequestParser(limits), [data]))
        if fresh and len(data) <= MAX_SEED_BYTES:
            SEEDS.append(data)
            kept += 1
            if chosen.corpus is not None:
                (chosen.corpus / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
        found = wrong(data, cuts, limits)
        count += 1
        if found is not None:
            print(f"seed {seed}, case {count}: {found}\n{data!r}")
            return 1
    print(f"seed {seed}: {count} cases, {len(edges.seen)} edges, {kept} new seeds, nothing found")
    return 0


if __name__ == "__main__":
    sys.exit(main())
