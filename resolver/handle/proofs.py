"""Checking proofs of identity, off the event loop.

A check may cost up to a tenth of a second, and anybody may ask for one. So there is one thread for
them in a worker, and a bound on how many wait for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from protocol.errors import AuthenticationFailed, ProtocolError, ResponseCode
from protocol.handle.challenge import verify_key_answer, verify_secret_answer
from protocol.handle.digest import Digest
from protocol.handle.keys import SECRET_KEY
from registry.identities import IdentityKey

MAX_WAITING = 64

_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="proofs")
_waiting = 0


async def first_that_holds(
    keys: list[IdentityKey], answer: bytes, nonce: bytes, digest: Digest
) -> IdentityKey | None:
    """Return the key with which the answer to a challenge was made; None if it was none of them.

    Raises AuthenticationFailed where the answer cannot be read or asks for too much work,
    ProtocolError with code 3 where too many checks wait.
    """

    def find() -> IdentityKey | None:
        return next((key for key in keys if _holds(key, answer, nonce, digest)), None)

    return await in_turn(find)


async def in_turn(find: Callable[[], IdentityKey | None]) -> IdentityKey | None:
    """Return what `find` does, in the thread for checks.

    Raises ProtocolError with code 3 where too many wait for it.
    """
    global _waiting  # noqa: PLW0603  as the thread, one for the process
    if _waiting >= MAX_WAITING:
        raise ProtocolError("too many wait to prove who they are", code=ResponseCode.SERVER_BUSY)
    _waiting += 1
    try:
        return await asyncio.get_running_loop().run_in_executor(_thread, find)
    finally:
        _waiting -= 1


def _holds(key: IdentityKey, answer: bytes, nonce: bytes, digest: Digest) -> bool:
    try:
        if key.type == SECRET_KEY:
            return bool(key.data) and verify_secret_answer(answer, nonce, digest, key.data)
        public = key.verifying()
        return public is not None and verify_key_answer(answer, nonce, digest, public)
    except ProtocolError as error:
        raise AuthenticationFailed(error.detail) from None
