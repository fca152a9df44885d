"""Bodies of accounts, sessions and passwords."""

from __future__ import annotations

import datetime
import uuid
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from registry.api.bodies.keys import Scope

Role = Literal["operator", "reviewer", "auditor", "administrator"]
Status = Literal["active", "disabled"]
Name = Annotated[str, Meta(max_length=64, examples=["li.na"])]
Password = Annotated[
    str,
    Meta(
        max_length=1024,
        description="12 to 128 characters, not easily guessed, without the name of the account",
    ),
]
# What is given as the present password is judged by the hash alone.
Present = Annotated[str, Meta(max_length=1024)]
OneTimeToken = Annotated[str, Meta(max_length=512)]


class NewAccount(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """An account to make."""

    name: Name
    role: Role
    enterprise_id: Annotated[
        uuid.UUID | None, Meta(description="For an administrator, and needed there")
    ] = None
    password: Annotated[
        Password | None,
        Meta(description="Left out: nobody signs in before a password was set by a reset"),
    ] = None


class AccountPatch(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What shall change of an account."""

    role: Role | None = None
    status: Status | None = None


class Account(msgspec.Struct, frozen=True):
    """An account."""

    id: uuid.UUID
    name: str
    role: Role
    enterprise_id: uuid.UUID | None
    status: Status
    has_password: bool
    created_at: datetime.datetime
    updated_at: datetime.datetime


class AccountPage(msgspec.Struct, frozen=True):
    """A page of accounts."""

    items: list[Account]
    next: str | None


class PasswordReset(msgspec.Struct, frozen=True):
    """A one-time token with which the owner of an account sets its password."""

    token: Annotated[
        str | None,
        Meta(
            description="Shown this once and not stored. null where the answer is a repeated one"
            " (Idempotency-Key): make another"
        ),
    ]
    expires_at: datetime.datetime


class UsedReset(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A one-time token and the password that it sets."""

    token: OneTimeToken
    password: Password


class Credentials(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What somebody signs in with."""

    name: Annotated[str, Meta(max_length=64)]
    password: Present


class Session(msgspec.Struct, frozen=True):
    """A session that has begun."""

    token: Annotated[str, Meta(description="The bearer token, shown this once")]
    name: str
    role: Role
    enterprise_id: uuid.UUID | None
    expires_at: Annotated[
        datetime.datetime,
        Meta(description="It ends then, and before, when it was not used for an hour"),
    ]


class PasswordChange(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The present password, and the one to come."""

    password: Present
    new_password: Password


class Me(msgspec.Struct, frozen=True):
    """Who the caller is."""

    kind: Literal["account", "key"]
    role: Literal["operator", "reviewer", "auditor", "administrator", "application"]
    id: Annotated[uuid.UUID, Meta(description="Of the account, or of the key of an enterprise")]
    name: Annotated[str, Meta(description="Of the account, or of the enterprise")]
    enterprise_id: uuid.UUID | None
    scopes: list[Scope]
