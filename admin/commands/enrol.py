"""idnode enrol: the node gets the certificate with which it shows the top-level node who it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import click

from admin import datadir
from admin.commands.options import json_option, settings_options
from admin.settings import Settings
from admin.words import Failure, show, words
from protocol.errors import InvalidValue
from resolver.federation.certificates import serial_of
from resolver.federation.credentials import Credentials, EnrolmentFailed, enrol


@click.command(
    "enrol",
    help=words(
        "Enrol this node with the top-level node, by the token that its operator gave.",
        "用顶级节点运维人员提供的一次性令牌,在顶级节点登记本节点并取得证书。",
    ),
)
@click.option("--url", required=True, help="Of the top-level node: https://HOST:PORT.")
@click.option(
    "--token", prompt=True, hide_input=True, help="The token. Better typed when asked for it."
)
@json_option
@settings_options("data_dir", "prefix")
def enrol_command(
    settings: Settings,
    read_settings: Callable[[], Settings],
    *,
    url: str,
    token: str,
    as_json: bool,
) -> None:
    """Enrol this node."""
    del read_settings
    credentials = Credentials(datadir.uplink(settings.data_dir))
    try:
        certificate = asyncio.run(enrol(url, token, settings.prefix, credentials))
    except (EnrolmentFailed, InvalidValue) as error:
        raise Failure(str(error)) from error
    except OSError as error:
        raise Failure(f"{credentials.directory}: {error.strerror or error}") from error
    until = certificate.not_valid_after_utc
    result = {
        "node": settings.prefix,
        "serial": serial_of(certificate),
        "expires_at": until.isoformat(),
    }
    text = words(
        f"{settings.prefix} is enrolled until {until:%Y-%m-%d %H:%M} UTC, and renews that itself."
        f" Set IDNODE_TOPLEVEL_URL={url}",
        f"{settings.prefix} 已登记,证书有效期至 {until:%Y-%m-%d %H:%M} UTC,到期前自动更新。"
        f"请设置 IDNODE_TOPLEVEL_URL={url}",
    )
    show(result, text, as_json=as_json)
