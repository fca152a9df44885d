"""The site of this node, as its settings describe it."""

from __future__ import annotations

import ipaddress

from admin import datadir
from admin.settings import Settings
from resolver.site import Site, load_key, make_site


def own_site(settings: Settings) -> Site:
    """Return the node's own site. Raises OSError and ValueError for its key, InvalidValue."""
    return make_site(
        settings.handle_address or settings.bind,
        handle_port=settings.handle_port,
        http_port=settings.http_port,
        https_port=settings.https_port,
        key=load_key(datadir.node_key(settings.data_dir)),
        serial=settings.handle_site_serial,
    )


def can_be_reached(settings: Settings) -> bool:
    """Whether the address in the node's site is one: "every address" leads nobody to it."""
    return not ipaddress.ip_address(settings.handle_address or settings.bind).is_unspecified
