"""A worker for a limited process that does what it is told, also what it must not."""

import os
import time
from typing import Any

from tramontane.adapters.servers.completion.limited import Work, serve


def prepare(setup: dict[str, Any]) -> Work:
    def work(request: dict[str, Any]) -> dict[str, Any]:
        if request["do"] == "sleep":
            time.sleep(60)
        if request["do"] == "grow":
            return {"value": len(bytearray(1 << 30))}
        if request["do"] == "die":
            os._exit(3)
        if request["do"] == "print":
            print("noise on standard output")  # must reach the parent's standard error, not its frames
            return {"value": "printed"}
        if request["do"] == "length":
            return {"value": len(request["value"])}
        return {"value": setup["factor"] * request["value"]}

    return work


if __name__ == "__main__":
    serve(prepare)
