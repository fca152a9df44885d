"""Checking proofs of identity, off the event loop.

A check may cost up to a tenth of a second, and anybody may ask for one. So there is one thread for
them in a worker, and a bound on how many wait for it.
"""

from __future__ import annotations

from protocol.errors import AuthenticationFailed, ProtocolError
from protocol.handle.challenge import verify_key_answer, verify_secret_answer
from protocol.handle.digest import Digest
from protocol.handle.keys import SECRET_KEY
from registry.identities import IdentityKey
from resolver.handle.turns import Turns

CHECKS = Turns("proofs", most=64)


async def first_that_holds(
    keys: list[IdentityKey], answer: bytes, nonce: bytes, digest: Digest
) -> IdentityKey | None:
    """Return the key with which the answer to a challenge was made; None if it was none of them.

    Raises AuthenticationFailed where the answer cannot be read or asks for too much work,
    ProtocolError with code 3 where too many checks wait.
    """

    def find() -> IdentityKey | None:
        return next((key for key in keys if _holds(key, answer, nonce, digest)), None)

    return await CHECKS.take(find)


def _holds(key: IdentityKey, answer: bytes, nonce: bytes, digest: Digest) -> bool:
    try:
        if key.type == SECRET_KEY:
            return bool(key.data) and verify_secret_answer(answer, nonce, digest, key.data)
        public = key.verifying()
        if public is None:
            return False
        return verify_key_answer(answer, nonce, digest, public, key.identity.handle)
    except ProtocolError as error:
        raise AuthenticationFailed(error.detail) from None
