"""`make bench`: every part in turn, then RESULTS.md and its plot. `python -m bench PART ...` runs some of them.

Run it on a quiet machine; it takes about three quarters of an hour on two cores. The rounds are few and the ratios paired:
see rounds.py.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from bench import assistant, assistant_browser, open_webui, report
from bench.contestants import WORK
from bench.parts import engines_q4_0, engines_q4_1, fairness, gateway_alone, resources, turns

PARTS: dict[str, Callable[[int], dict[str, object]]] = {
    "engines-q4_1": engines_q4_1,
    "engines-q4_0": engines_q4_0,
    "turns": turns,
    "fairness": fairness,
    "gateway": gateway_alone,
    "resources": resources,
    "assistant": assistant.part,
    "browser": assistant_browser.part,
    "open-webui": open_webui.part,
}


def main() -> None:
    """Run the parts asked for and write down all results known so far."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], default=[])
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    store = WORK / "results.json"
    results = json.loads(store.read_text()) if store.exists() else {}
    for name in arguments.parts or PARTS:
        print(f"## {name}", flush=True)
        results[name] = PARTS[name](arguments.rounds)
        store.write_text(json.dumps(results, indent=1))
    target = Path(__file__).parent / "RESULTS.md"
    report.write(results, target, " ".join(["python -m bench", *sys.argv[1:]]))
    print(f"written: {target}")


if __name__ == "__main__":
    main()
