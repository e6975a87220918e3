"""What the doctor says of an address, whatever IP version, and of one that can be none."""

import socket

import pytest

from tramontane.entrypoints.cli.checks import check_address
from tramontane.foundation.settings import Settings


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


pytestmark = pytest.mark.usefixtures("home")
HOSTS = ["127.0.0.1", "localhost", pytest.param("::1", marks=pytest.mark.skipif(not has_ipv6(), reason="no IPv6"))]


@pytest.mark.parametrize("host", HOSTS)
def test_a_free_address_is_free_and_a_taken_one_is_taken(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as taken:
        taken.bind((host, 0))
        taken.listen()
        port = taken.getsockname()[1]
        found = check_address(Settings(host=host, port=port))
        assert (found.state, "is taken" in found.found) == ("note", True)
    found = check_address(Settings(host=host, port=port))
    assert (found.state, found.found.endswith(f"{port} is free")) == ("ok", True)


@pytest.mark.parametrize("host", ["a..b", "x" * 70, "no.such.host.invalid", "203.0.113.1"])
def test_a_host_that_is_none_of_ours_fails_with_the_variable_to_set(host: str) -> None:
    found = check_address(Settings(host=host))
    assert (found.state, "TRAMONTANE_HOST" in found.found) == ("fail", True)


def test_an_open_address_is_noted() -> None:
    found = check_address(Settings(host="0.0.0.0", port=0))
    assert found.state == "note" and "TLS" in found.cure
