"""The first operator, who signs in with the bootstrap token."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from protocol.errors import InvalidValue
from registry import audit
from registry.principals import (
    MAX_TOKEN_CHARACTERS,
    MIN_TOKEN_CHARACTERS,
    OPERATOR,
    SYSTEM,
    digest,
    is_token,
)
from registry.schema import accounts, api_keys

LABEL = "first token"
"""The label of the key that this module looks after."""


async def ensure_operator(connection: AsyncConnection, name: str, token: str) -> None:
    """Make sure that there is an operator `name` with a key of which `token` is the secret.

    Idempotent; the token of before ends. An operator who was disabled stays so. Raises
    InvalidValue for a token that is short, holds other characters than a bearer token may, or is
    somebody else's.
    """
    if not MIN_TOKEN_CHARACTERS <= len(token) <= MAX_TOKEN_CHARACTERS or not is_token(token):
        raise InvalidValue(
            f"a token has {MIN_TOKEN_CHARACTERS} to {MAX_TOKEN_CHARACTERS} letters, digits or"
            " characters of -._~+/",
            field="token",
        )
    key, whole = digest(token)
    # Processes that start together would otherwise collide in the index of the tokens.
    lock = sa.func.pg_advisory_xact_lock(sa.func.hashtext("idnode operators"))
    await connection.execute(sa.select(lock))
    await connection.execute(
        insert(accounts)
        .values(name=name, role=OPERATOR)
        .on_conflict_do_nothing(index_elements=[accounts.c.name])
    )
    account = await connection.scalar(sa.select(accounts.c.id).where(accounts.c.name == name))
    query = sa.select(api_keys).where(api_keys.c.token_key == key)
    there = (await connection.execute(query)).one_or_none()
    if there is not None and (there.account_id, there.label) != (account, LABEL):
        raise InvalidValue("the token is another key's", field="token")
    if there is not None and there.revoked_at is None and there.token_hash == whole:
        return
    await connection.execute(
        api_keys.delete().where(api_keys.c.account_id == account, api_keys.c.label == LABEL)
    )
    await connection.execute(
        api_keys.insert().values(account_id=account, label=LABEL, token_key=key, token_hash=whole)
    )
    await audit.append(connection, SYSTEM, "account.ensure", str(account), {"name": name}, None)
