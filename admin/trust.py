"""What this node has to show the top-level node, if it has been enrolled."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass

import structlog

from admin import datadir
from admin.settings import Settings
from resolver.federation.credentials import Credentials, keep_certificate

log = structlog.get_logger("idnode.uplink")


@dataclass(frozen=True)
class Trust:
    """How the node and the top-level node at `url` know each other."""

    url: str
    credentials: Credentials
    context: ssl.SSLContext

    async def keep(self, stop: asyncio.Event) -> None:
        """Renew the node's certificate in time, until `stop`."""
        await keep_certificate(self.url, self.credentials, self.context, stop)


def find_trust(settings: Settings) -> Trust | None:
    """Return what an enrolment has left, for an https URL; None where there is no such thing.

    Files that can not be used are told of: the node does its other work without.
    """
    credentials = Credentials(datadir.uplink(settings.data_dir))
    url = settings.toplevel_url
    if url is None or not url.startswith("https:") or not credentials.there:
        return None
    try:
        return Trust(url, credentials, credentials.context())
    except OSError as error:
        log.error("credentials_unusable", directory=str(credentials.directory), error=str(error))
        return None
