"""The zones of a node and its DNS service, by its settings."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from protocol.dns.cookies import SECRET_BYTES
from protocol.dns.zones import Zone, ons_zones, ors_zone, read_name
from resolver.dns.zone_data import ZoneData, make, own_address


@dataclass(frozen=True, slots=True)
class ZoneSettings:
    """What a node answers for over DNS.

    ors: name of the ORS zone; empty: made of the node's prefix. ons: ``zone=prefix``, with commas
    between. servers: names of the name servers, with commas between; empty: one in each zone.
    """

    node_prefix: str
    ors: str = ""
    ons: str = ""
    servers: str = ""

    def zones(self) -> list[Zone]:
        """Return the zones. Raises ValueError with what is wrong."""
        return [ors_zone(self.ors, self.node_prefix), *ons_zones(self.ons)]

    def data(self, host: str) -> dict[Zone, ZoneData]:
        """Return the zones and what stands at their apexes. Raises ValueError.

        host: address at which clients reach this node.
        """
        servers = tuple(filter(None, self.servers.split(",")))
        for server in servers:
            read_name(server)
        address = own_address(host)
        return {zone: make(zone, servers, address) for zone in self.zones()}


def cookie_secret(key: rsa.RSAPrivateKey) -> bytes:
    """Derive the secret of DNS cookies, which all workers need, from the node's private key."""
    octets = key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    kdf = HKDF(hashes.SHA256(), SECRET_BYTES, salt=None, info=b"idnode DNS cookies")
    return kdf.derive(octets)
