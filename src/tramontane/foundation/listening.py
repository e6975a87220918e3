"""Binds the address people are served at. Knows sockets and what can be wrong with an address, nothing of who answers.

The doors listen on what it returns; the doctor only tries.
"""

import errno
import socket

from tramontane.foundation.errors import Misconfigured


def bound(host: str, port: int) -> socket.socket:
    """A socket bound to `host`, of either IP version; port 0 takes a free one. Raises Misconfigured naming the cure."""
    cure = "set TRAMONTANE_HOST to an address of this machine, as 127.0.0.1 or ::1"
    try:
        kind, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.socket(kind, socket.SOCK_STREAM)
    except ValueError:
        # What cannot be a name at all is refused by its encoding and not by the resolver.
        raise Misconfigured(f"cannot listen on {host}: that is no name and no address; {cure}") from None
    except OSError as error:
        raise Misconfigured(f"cannot listen on {host}: {error.strerror}; {cure}") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise refused(host, port, error) from None
    return listener


def refused(host: str, port: int, error: OSError) -> Misconfigured:
    """Why `bind` or `listen` did not work, and what to do."""
    if error.errno == errno.EADDRINUSE:
        return Misconfigured(
            f"port {port} of {host} is in use; stop what uses it or set TRAMONTANE_PORT to another", code="port_in_use"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return Misconfigured(f"cannot listen on {host}: it is not this machine's; set TRAMONTANE_HOST to one that is")
    return Misconfigured(f"cannot listen on {host}:{port}: {error.strerror}; set TRAMONTANE_PORT")
