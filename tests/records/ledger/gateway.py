"""A process that accounts for requests until it is killed, telling after each one what it had promised."""

import asyncio
import sys
from pathlib import Path

from tramontane.foundation.nouns import Caller, Spend
from tramontane.foundation.store.database import Database
from tramontane.records.ledger import Receipt, ReceiptBook

CALLER = Caller(organisation_id="org_a", workspace_id="ws_a", principal_id="p", key_id="k")


def receipt(request_id: str, caller: Caller = CALLER, **rest: str | None) -> Receipt:
    """A receipt of three prompt tokens and two generated ones."""
    spend = Spend(prompt_tokens=3, computed_tokens=3, generated_tokens=2, decode_ns=5)
    return Receipt.of(caller, request_id, time_ns=1000, spend=spend, **({"model": "m"} | rest))


async def serve(address: str, spool: Path, prefix: str, witness: Path) -> None:
    """Begin and post requests for ever; every fifth is begun only. `witness` learns of each after the call returned."""
    database = Database.open(address)
    book = ReceiptBook(database, spool, interval_s=0.02)
    await book.start()
    number = 0
    with witness.open("a", buffering=1) as file:
        while True:
            request_id = f"{prefix}{number}"
            book.begin(receipt(request_id))
            if number % 5:
                book.post(receipt(request_id))
                file.write(f"over {request_id}\n")
            else:
                file.write(f"begun {request_id}\n")
            number += 1
            await asyncio.sleep(0.0005)


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4])))
