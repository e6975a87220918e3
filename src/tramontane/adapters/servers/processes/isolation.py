"""What an engine process gives up before it touches a model: networks, core dumps, new privileges, outliving its parent.

Knows Linux's calls for it and that other systems lack them; knows nothing of models. Called first thing in the child,
before any library starts a thread, because a process with threads can no longer leave its user namespace.
"""

import ctypes
import os
import resource
import signal
import sys
from pathlib import Path

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38


def confine() -> bool:
    """Give up everything an engine does not need; returns whether no network is left.

    Best effort: where the system refuses a part, the rest still holds.
    """
    restrict()
    return sys.platform == "linux" and _leave_networks()


def restrict() -> None:
    """No core dump with prompts in it, no new privileges, no life after the parent's; networks stay."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def _leave_networks() -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    if libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
        return False
    try:
        Path("/proc/self/setgroups").write_text("deny", "ascii")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1", "ascii")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1", "ascii")
    except OSError:
        pass  # the names of user and group are lost, not the isolation
    return network_names() <= {"lo"}


def network_names() -> set[str]:
    """The network interfaces this process can see."""
    lines = Path("/proc/self/net/dev").read_text("ascii").splitlines()[2:]
    return {line.split(":")[0].strip() for line in lines}


def resident_bytes() -> int:
    """Memory of this process that is in use now; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * resource.getpagesize()
