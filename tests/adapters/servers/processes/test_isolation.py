"""What a confined process can still do, tried in a child of the test."""

import socket
import subprocess
import sys

PROBE = """
import resource, socket
from tramontane.adapters.servers.processes.isolation import confine, network_names, resident_bytes
alone = confine()
assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)
assert resident_bytes() > 1_000_000
if alone:
    assert network_names() == {"lo"}
    try:
        socket.create_connection(("127.0.0.1", PORT), timeout=1)
    except OSError:
        print("alone")
    else:
        print("reached")
else:
    print("refused by the system")
"""


def test_a_confined_process_reaches_nothing_not_even_this_machine() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        probe = PROBE.replace("PORT", str(listener.getsockname()[1]))
        result = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() in ("alone", "refused by the system")
