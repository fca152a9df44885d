"""The database for commands that work on it directly."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from admin import datadir
from admin.datadir import DataDirectoryError
from admin.embedded import EmbeddedPostgres, PostgresError
from admin.settings import Settings
from admin.words import Failure


@contextlib.contextmanager
def database_url(settings: Settings) -> Iterator[str]:
    """Yield the URL: the one set, else of the embedded PostgreSQL.

    That one is used as it runs if a node runs on the data directory, and started for the
    length of the block if none does. Raises Failure.
    """
    if settings.database_url is not None:
        yield settings.database_url
        return
    try:
        server = EmbeddedPostgres(datadir.postgres(settings.data_dir))
        with contextlib.ExitStack() as stack:
            if _free(stack, settings.data_dir):
                stack.callback(server.stop)
                server.start()
            yield server.url
    except PostgresError as error:
        raise Failure(str(error)) from error


def _free(stack: contextlib.ExitStack, data_dir: Path) -> bool:
    try:
        stack.enter_context(datadir.lock(data_dir))
    except datadir.InUse:
        return False
    except DataDirectoryError as error:
        raise Failure(str(error)) from error
    return True
