"""Knows how receipts lie in a spool file: frames of length, checksum and message. Pure; reads what a crash left behind.

A frame cut off by a crash, and anything after it, is not read; every frame before it is.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import Literal

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


def entries(data: bytes) -> Iterator[Entry]:
    """The whole entries at the front of `data`."""
    position = 0
    while position + _HEAD.size <= len(data):
        length, checksum = _HEAD.unpack_from(data, position)
        body = data[position + _HEAD.size : position + _HEAD.size + length]
        if length > MAX_FRAME_BYTES or len(body) < length or zlib.crc32(body) != checksum:
            return
        try:
            entry = _decoder.decode(body)
        except msgspec.DecodeError:
            return
        yield entry
        position += _HEAD.size + length


def settle(found: list[Entry]) -> list[Receipt]:
    """The receipts a dead process owed: those of finished requests, and for requests it never finished, `interrupted`."""
    over = {entry.receipt.identity: entry.receipt for entry in found if entry.kind == "over"}
    begun = {entry.receipt.identity: entry.receipt for entry in found if entry.kind == "begun"}
    cut = [
        msgspec.structs.replace(receipt, outcome="failed", error_code=INTERRUPTED)
        for identity, receipt in begun.items()
        if identity not in over
    ]
    return [*over.values(), *cut]
