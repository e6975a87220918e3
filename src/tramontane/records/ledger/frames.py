"""Knows how receipts lie in a spool file: frames of length, checksum and message. Pure; reads what a crash left behind.

A frame cut off by a crash, and anything after it, is not read; every frame before it is.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import IO, Literal

import msgspec

from tramontane.records.ledger.nouns import INTERRUPTED, Receipt

_HEAD = struct.Struct("<II")
MAX_FRAME_BYTES = 64 * 1024


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """`begun` when a request was let in, `over` with its receipt when it had its last word."""

    kind: Literal["begun", "over"]
    receipt: Receipt


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Entry)


def frame(entry: Entry) -> bytes:
    """The bytes of one entry."""
    body = _encoder.encode(entry)
    return _HEAD.pack(len(body), zlib.crc32(body)) + body


def entries(source: IO[bytes]) -> Iterator[Entry]:
    """The whole entries at the front of `source`, one in memory at a time."""
    while len(head := source.read(_HEAD.size)) == _HEAD.size:
        length, checksum = _HEAD.unpack(head)
        body = source.read(min(length, MAX_FRAME_BYTES))
        if len(body) < length or zlib.crc32(body) != checksum:
            return
        try:
            entry = _decoder.decode(body)
        except msgspec.DecodeError:
            return
        yield entry


def settled(found: Iterable[Entry]) -> Iterator[Receipt]:
    """The receipts a dead process owed: those of finished requests, then `interrupted` for those it never finished.

    Where one request has several, the first counts. Holds no more than the requests that were open at once.
    """
    begun: dict[tuple[str, str, str], Receipt] = {}
    for entry in found:
        if entry.kind == "begun":
            begun[entry.receipt.identity] = entry.receipt
        else:
            begun.pop(entry.receipt.identity, None)
            yield entry.receipt
    for receipt in begun.values():
        yield msgspec.structs.replace(receipt, outcome="failed", error_code=INTERRUPTED)
