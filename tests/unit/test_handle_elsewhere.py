"""Where a referral may lead the node that looks for a key."""

from __future__ import annotations

import pytest

from resolver.client.steps import Endpoint
from resolver.handle.elsewhere import Scope, may_ask, own_addresses, read_server

HERE = own_addresses("0.0.0.0", "8.8.4.4")


def allowed(host: str, *scopes: Scope, port: int = 2641) -> bool:
    endpoint = Endpoint("tcp", host, port)
    return may_ask(endpoint, scopes=frozenset(scopes), here=HERE, port=2641)


@pytest.mark.parametrize(
    ("host", "scope"),
    [
        ("127.0.0.2", "loopback"),
        ("::ffff:127.0.0.2", "loopback"),
        ("169.254.169.254", "link-local"),
        ("fe80::1", "link-local"),
        ("10.0.0.1", "private"),
        ("192.168.1.1", "private"),
        ("100.64.0.1", "private"),
        ("fd00::1", "private"),
    ],
)
def test_referrals_lead_inside_only_where_the_chosen_server_is(host: str, scope: Scope) -> None:
    assert not allowed(host, "global"), "a stranger has us ask inside our own network"
    assert allowed(host, "global", scope)
    others: set[Scope] = {"loopback", "link-local", "private"}
    assert not allowed(host, *(others - {scope}))


def test_referrals_lead_to_public_addresses_but_not_to_names_or_groups() -> None:
    for host in ("8.8.8.8", "2001:4860:4860::8888"):
        assert allowed(host, "global")
        assert allowed(host, "private")
        assert not allowed(host, "global", port=0)
        assert not allowed(host, "global", port=65536)
    for host in ("handles.example", "224.0.1.1", "ff0e::1", "0.0.0.0", "::"):
        assert not allowed(host, "global", "none", "loopback", "private")


def test_referrals_do_not_lead_back_to_the_node() -> None:
    for host in ("8.8.4.4", "::ffff:8.8.4.4", "127.0.0.1", "::1"):
        assert not allowed(host, "global", "loopback"), host
        assert allowed(host, "global", "loopback", port=2642), "another server on the machine"


def test_the_server_is_written_as_host_and_port() -> None:
    assert read_server("handles.example:2641") == Endpoint("tcp", "handles.example", 2641)
    assert read_server("[2001:db8::1]:2641") == Endpoint("tcp", "2001:db8::1", 2641)
