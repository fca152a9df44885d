"""Protocol versions 2.0 to 2.11: which one two peers speak, and what changes at which.

Sources: RFC 3652 section 2.2.1; the reference implementation (Handle.Net 9.2), which added the
suggested version in bytes 2 and 3 of the envelope and everything above 2.1.

- 2.1: request digests name their algorithm; a challenge is a digest and a nonce
- 2.2: session keys name their cipher
- 2.4: sessions use AES in CBC mode, the initial vector stands before the ciphertext
- 2.5: response codes 7, 202 and 303 have their present meaning; a MAC covers the envelope
- 2.6: a signature covers the envelope
- 2.7: SHA-256, HMAC and PBKDF2 take the place of SHA-1
- 2.8: MACs and signatures cover the suggested version
- 2.10: clients follow prefix referrals
- 2.11: DSA signatures are made with SHA-256
"""

from __future__ import annotations

from typing import NamedTuple

from protocol.errors import ResponseCode


class Version(NamedTuple):
    """A protocol version. Clients of 2.0 call themselves 5.0."""

    major: int
    minor: int

    def at_least(self, minor: int) -> bool:
        """Whether this is version 2.`minor` or a later one."""
        return self.major != 5 and (self.major, self.minor) >= (2, minor)

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


LATEST = Version(2, 11)
"""The latest version that this code speaks, and the one it suggests to its peers."""

COMPATIBLE = Version(2, 3)
"""What a client writes as long as it does not know the site, and a server in answer to bytes
that it cannot read."""


def lower(one: Version, other: Version) -> Version:
    """Return the older of two versions."""
    if one.major == 5 or other.major == 5:
        return one if one.major == 5 else other
    return min(one, other)


def negotiate(offered: Version) -> Version:
    """Return the version to speak with a peer.

    offered: for a server, what the request suggests; for a client, the version in the site's
    HS_SITE record. The answer is that or LATEST, whichever is older.
    """
    return LATEST if offered.at_least(LATEST.minor) else offered


def code_on_wire(version: Version, code: int) -> int:
    """Return the number that a response code has in `version`."""
    if not version.at_least(5):
        if code == ResponseCode.SERVER_DISABLED:
            return ResponseCode.PREFIX_REFERRAL
        if code == ResponseCode.INVALID_VALUE:
            return ResponseCode.VALUE_EXISTS
    return code


def code_from_wire(version: Version, number: int) -> int:
    """Return the response code that a number in a message of `version` means."""
    if number == ResponseCode.PREFIX_REFERRAL and not version.at_least(5):
        return ResponseCode.SERVER_DISABLED
    return number
