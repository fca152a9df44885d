"""What the operator port knows of the database: asked now and then, never while somebody waits.

So the operator port answers at once whatever the database does.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import asyncpg
import msgspec

from admin.waiting import wait
from registry.database import UNAVAILABLE

LOOK_SECONDS = 1.0
_TIMEOUT = 2.0
FRESH_SECONDS = LOOK_SECONDS + 2 * _TIMEOUT

_OVERVIEW = """
SELECT json_build_object(
    'server', current_setting('server_version'),
    'enterprises', (SELECT count(*) FROM enterprises),
    'prefixes', (SELECT coalesce(json_object_agg(status, n), '{}') FROM
        (SELECT status, count(*) AS n FROM prefixes GROUP BY status) AS s),
    'identifiers', (SELECT greatest(reltuples, pg_stat_get_live_tuples(oid))::bigint FROM pg_class
        WHERE oid = 'identifiers'::regclass),
    'outbox', (SELECT count(*) FROM outbox WHERE delivered_at IS NULL),
    'outbox_error', (SELECT last_error FROM outbox WHERE delivered_at IS NULL
        AND last_error IS NOT NULL ORDER BY id LIMIT 1),
    'waiting', (SELECT coalesce(json_agg(w), '[]') FROM
        (SELECT subject, kind, attempts, created_at, next_attempt_at, last_error FROM outbox
         WHERE delivered_at IS NULL ORDER BY id LIMIT 10) AS w),
    'imports', (SELECT coalesce(json_agg(i), '[]') FROM
        (SELECT id, state, done, failed, seconds, created_at FROM imports
         ORDER BY created_at DESC LIMIT 10) AS i))
"""


class Import(msgspec.Struct, frozen=True):
    """One import, as the console shows it."""

    id: str
    state: str
    done: int
    failed: int
    seconds: float
    created_at: str


class Waiting(msgspec.Struct, frozen=True):
    """One message to the top-level node that waits, as the console shows it."""

    subject: str
    kind: str
    attempts: int
    created_at: str
    next_attempt_at: str
    last_error: str | None


class Overview(msgspec.Struct, frozen=True):
    """The state of the registry. identifiers is an estimate: counting would read them all."""

    server: str
    enterprises: int
    prefixes: dict[str, int]
    identifiers: int
    outbox: int
    outbox_error: str | None
    waiting: list[Waiting]
    imports: list[Import]


class Watch:
    """Looks at the database over one connection of its own."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.overview: Overview | None = None
        self._clock = clock
        self._looked_at = float("-inf")
        self._error: str | None = "not looked at yet"

    @property
    def error(self) -> str | None:
        """Why the database counts as away; None if it answered a moment ago."""
        if self._error is None and self._clock() - self._looked_at > FRESH_SECONDS:
            return "does not answer"
        return self._error

    async def run(self, url: str, stop: asyncio.Event) -> None:
        """Look until `stop`."""
        connection: asyncpg.Connection | None = None
        while not stop.is_set():
            try:
                if connection is None:
                    connection = await asyncpg.connect(
                        url,
                        timeout=_TIMEOUT,
                        command_timeout=_TIMEOUT,
                        server_settings={"application_name": "idnode control"},
                    )
                self._seen(await connection.fetchval(_OVERVIEW))
            except (*UNAVAILABLE, asyncpg.PostgresError) as error:
                self._error = str(error) or "does not answer"
                if connection is not None:
                    connection.terminate()
                    connection = None
            await wait(stop, LOOK_SECONDS)
        if connection is not None:
            connection.terminate()

    def _seen(self, text: Any) -> None:
        self.overview = msgspec.json.decode(text, type=Overview)
        self._looked_at = self._clock()
        self._error = None
