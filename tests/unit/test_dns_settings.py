"""The DNS front as it is set: what is wrong is told at the start, by the name of the setting."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from admin.settings import SettingsError, load, zone_settings
from admin.supervisor import StartError, hold_ports
from resolver.dns.setup import ZoneSettings


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("ORS_ZONE", "a b.org", "not a name of the DNS"),
        ("ONS_ZONES", "gtin.gs1.id.onsepc.com", "not of the form zone=prefix"),
        ("ONS_ZONES", "onsepc.com=88.118.1", "an ONS zone is [digits.]gtin.gs1.id and a root"),
        ("SERVERS", "ns1.example.org,-", "not a name of the DNS"),
        ("RESPONSES_PER_SECOND", "-1", "IDNODE_DNS_RESPONSES_PER_SECOND"),
    ],
)
def test_a_wrong_setting_stops_the_start(tmp_path: Path, name: str, value: str, told: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load({f"IDNODE_DNS_{name}": value}, directory=tmp_path)
    assert told in str(raised.value)
    assert f"dns_{name.lower()}" in str(raised.value).lower()


def test_the_zone_of_a_node_is_its_prefix_as_an_oid(tmp_path: Path) -> None:
    settings = load({"IDNODE_PREFIX": "2.16.156"}, directory=tmp_path)
    (zone,) = zone_settings(settings).zones()
    assert (str(zone), zone.prefix) == ("156.16.2.oid-res.org", "2.16.156")


@pytest.mark.parametrize(
    ("host", "address"), [("192.0.2.1", "192.0.2.1"), ("::", None), ("node.example", None)]
)
def test_a_zone_names_the_address_of_its_node_if_there_is_one(
    host: str, address: str | None
) -> None:
    (data,) = ZoneSettings("88.118").data(host).values()
    told = [record.to_text() for rrset in data.addresses for record in rrset]
    assert told == ([address] if address else [])


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_port_that_another_has_is_named(tmp_path: Path, kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, kind) as other:
        other.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            other.listen(1)
        port = str(other.getsockname()[1])
        names = ("HTTP_PORT", "HANDLE_PORT", "DNS_PORT")
        values = dict(zip(names, ("0", "0", port), strict=True))
        settings = load({f"IDNODE_{name}": v for name, v in values.items()}, directory=tmp_path)
        with pytest.raises(StartError, match="IDNODE_DNS_PORT"), hold_ports(settings):
            pass
