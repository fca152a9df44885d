"""Settings: one frozen object out of defaults < idnode.toml < IDNODE_* environment < flags.

A wrong value or an unknown name stops the start with one line that names the setting and where
it came from.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import msgspec
from msgspec import Meta, field

from protocol.dns.zones import Zones
from registry.networks import networks
from resolver.dns.setup import ZoneSettings
from resolver.recursion.discovery.lookup import make_resolver, read_anchors, read_servers, read_zone
from resolver.recursion.places import is_path, read_nodes, read_root

ENVIRONMENT = "IDNODE_"
FILE = "idnode.toml"

NOT_SETTINGS = frozenset({"IDNODE_CONFIG", "IDNODE_TOKEN", "IDNODE_TEST_DATABASE_URL"})
"""Names in the environment that look like settings of the node and are not: where the settings
file is, the token of the client commands, the database server of the tests."""

SECRET = frozenset({"database_url", "bootstrap_token", "toplevel_token"})
"""Settings whose value is never shown."""

RELOADABLE = frozenset(
    {
        "log_level",
        "cache_bytes",
        "toplevel_url",
        "toplevel_token",
        "shutdown_seconds",
        "handle_site_serial",
        "handle_admins",
        "handle_resolver",
        "plain_auth",
        "tls_cert",
        "tls_key",
        "udp_responses_per_second",
        "udp_bytes_per_second",
        "tcp_connections_per_source",
        "http_connections_per_source",
        "dns_ors_zone",
        "dns_ons_zones",
        "dns_servers",
        "dns_responses_per_second",
        "public_url",
        "label_font",
        "statistics_days",
        "recursion_clients",
        "recursion_root",
        "recursion_nodes",
        "discovery_zone",
        "discovery_servers",
        "discovery_anchor",
        "recursion_allow_private",
        "recursion_seconds",
        "recursion_walks",
        "recursion_client_waiting",
        "recursion_client_rate",
        "recursion_cache_bytes",
        "recursion_max_ttl",
        "recursion_stale_seconds",
    }
)
"""Settings that SIGHUP brings into force; the others need a start."""

Port = Annotated[int, Meta(ge=0, le=65535)]
PostgresUrl = Annotated[str, Meta(pattern=r"^postgres(ql)?://")]
HttpUrl = Annotated[str, Meta(pattern=r"^https?://[^/]+")]
PublicUrl = Annotated[
    str, Meta(pattern=r"^https?://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._~%/-]*)?$", max_length=200)
]
Identities = Annotated[str, Meta(pattern=r"^([0-9]+:[^,\s]+(,[0-9]+:[^,\s]+)*)?$")]
HandleServerAt = Annotated[
    str,
    Meta(
        pattern=r"^(\[[0-9a-fA-F:.]+\]|[^\s:/@\[\]]+):"
        r"([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])$"
    ),
]
Token = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._~+/-]{16,500}=*$")]


def _cores() -> int:
    return len(os.sched_getaffinity(0))


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings of a node. docs/operations.md says what each does."""

    database_url: PostgresUrl | None = None
    data_dir: Path = Path("var")
    bind: Annotated[str, Meta(min_length=1)] = "127.0.0.1"
    public_url: PublicUrl | None = None
    label_font: Path | None = None
    log_key: Path | None = None
    snms_key: Path | None = None
    http_port: Port = 8000
    https_port: Port = 0
    tls_cert: Path | None = None
    tls_key: Path | None = None
    plain_auth: bool = False
    trusted_proxies: Annotated[str, Meta(max_length=2000)] = ""
    admin_port: Port = 8001
    handle_port: Port = 2641
    handle_address: Annotated[str, Meta(pattern=r"^[0-9a-fA-F.:]+$")] | None = None
    handle_site_serial: Annotated[int, Meta(ge=1, le=65534)] = 1
    handle_admins: Identities = ""
    handle_resolver: HandleServerAt | None = None
    udp_responses_per_second: Annotated[int, Meta(ge=0, le=10_000_000)] = 5000
    udp_bytes_per_second: Annotated[int, Meta(ge=0, le=10_000_000_000)] = 100_000
    tcp_connections_per_source: Annotated[int, Meta(ge=0, le=10_000)] = 1000
    http_connections_per_source: Annotated[int, Meta(ge=0, le=10_000)] = 1000
    dns_port: Port = 5353
    dns_ors_zone: Annotated[str, Meta(max_length=253)] = ""
    dns_ons_zones: Annotated[str, Meta(max_length=10_000)] = ""
    dns_servers: Annotated[str, Meta(max_length=2000)] = ""
    dns_responses_per_second: Annotated[int, Meta(ge=0, le=10_000_000)] = 1000
    toplevel_url: HttpUrl | None = None
    toplevel_token: Token | None = None
    toplevel_port: Port = 8100
    toplevel_https_port: Port = 8101
    toplevel_hosts: Annotated[str, Meta(pattern=r"^([A-Za-z0-9.:-]+(,[A-Za-z0-9.:-]+)*)?$")] = ""
    toplevel_plain: bool = False
    toplevel_certificate_seconds: Annotated[int, Meta(ge=10, le=31_536_000)] = 90 * 86_400
    toplevel_handle_port: Port = 2642
    toplevel_address: Annotated[str, Meta(pattern=r"^[0-9a-fA-F.:]+$")] | None = None
    toplevel_prefix: Annotated[str, Meta(pattern=r"^[0-9]{1,9}(\.[0-9]{1,9}){0,2}$")] = "88"
    workers: Annotated[int, Meta(ge=1, le=256)] = field(default_factory=_cores)
    prefix: Annotated[str, Meta(pattern=r"^[0-9]{1,9}(\.[0-9]{1,9}){1,6}$")] = "88.118"
    bootstrap_token: Token | None = None
    self_filing: bool = True
    site_networks: Annotated[str, Meta(max_length=2000)] = ""
    prefix_quota: Annotated[int, Meta(ge=0, le=100_000)] = 100
    recursion_clients: Annotated[str, Meta(max_length=2000)] = ""
    recursion_root: Annotated[str, Meta(min_length=1, max_length=2000)] | None = None
    recursion_nodes: Annotated[str, Meta(max_length=10_000)] = ""
    discovery_zone: Annotated[str, Meta(max_length=253)] = ""
    discovery_servers: Annotated[str, Meta(max_length=2000)] = ""
    discovery_anchor: Path | None = None
    recursion_allow_private: Annotated[str, Meta(max_length=2000)] = ""
    recursion_seconds: Annotated[float, Meta(ge=0.5, le=30)] = 4.0
    recursion_walks: Annotated[int, Meta(ge=1, le=10_000)] = 256
    recursion_client_waiting: Annotated[int, Meta(ge=0, le=10_000)] = 32
    recursion_client_rate: Annotated[int, Meta(ge=0, le=1_000_000)] = 100
    recursion_cache_bytes: Annotated[int, Meta(ge=1 << 16, le=1 << 36)] = 16 << 20
    recursion_max_ttl: Annotated[int, Meta(ge=5, le=604_800)] = 86_400
    recursion_stale_seconds: Annotated[int, Meta(ge=0, le=604_800)] = 86_400
    escrow_dir: Path | None = None
    escrow_hours: Annotated[int, Meta(ge=1, le=720)] = 24
    statistics_days: Annotated[int, Meta(ge=180, le=36_500)] = 400
    cache_bytes: Annotated[int, Meta(ge=1 << 20, le=1 << 40)] = 256 << 20
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    shutdown_seconds: Annotated[float, Meta(gt=0, le=600)] = 10.0


def public_url(settings: Settings) -> str | None:
    """Return where anybody reaches the public port, without a slash at its end.

    Where it is not set, that is the address it is bound to; None if that is every address.
    """
    if settings.public_url is not None:
        return settings.public_url.rstrip("/")
    if settings.bind in ("0.0.0.0", "::"):  # noqa: S104
        return None
    host = f"[{settings.bind}]" if ":" in settings.bind else settings.bind
    return f"http://{host}:{settings.http_port}"


def zone_settings(settings: Settings) -> ZoneSettings:
    """Return what the node answers for over DNS."""
    return ZoneSettings(
        settings.prefix, settings.dns_ors_zone, settings.dns_ons_zones, settings.dns_servers
    )


class SettingsError(Exception):
    """A setting is wrong or unknown; the message is one line that names it."""


def load(
    environment: Mapping[str, str] | None = None,
    *,
    flags: Mapping[str, str] | None = None,
    directory: Path | None = None,
) -> Settings:
    """Read the settings.

    environment: instead of the process's own; an empty value counts as unset.
    flags: values from the command line by setting name.
    directory: where idnode.toml is looked for and relative paths begin, instead of the present
    one; IDNODE_CONFIG names another file, which must then exist.
    Raises SettingsError.
    """
    environment = os.environ if environment is None else environment
    directory = (directory or Path.cwd()).absolute()
    values: dict[str, Any] = {}
    for name, (source, value) in {
        **_from_file(environment, directory),
        **_from_environment(environment),
        **{name: (_flag(name), value) for name, value in (flags or {}).items()},
    }.items():
        values[name] = _convert(name, source, value)
    settings = Settings(**values)
    if settings.tls_key is not None and settings.tls_cert is None:
        raise SettingsError("tls_key: there is no tls_cert that it belongs to")
    for name in _NETWORKS:
        try:
            networks(getattr(settings, name))
        except ValueError as error:
            raise SettingsError(f"{name}: {error}") from None
    settings = _with_root(settings, directory)
    _check_discovery(settings, directory)
    try:
        Zones.of(zone_settings(settings).data(settings.bind))
    except ValueError as error:
        raise SettingsError(f"dns_ors_zone, dns_ons_zones, dns_servers: {error}") from None
    names = (
        "data_dir",
        "tls_cert",
        "tls_key",
        "label_font",
        "log_key",
        "snms_key",
        "escrow_dir",
        "discovery_anchor",
    )
    paths = {name: getattr(settings, name) for name in names}
    found = {name: directory / path for name, path in paths.items() if path is not None}
    return msgspec.structs.replace(settings, **found)


def _with_root(settings: Settings, directory: Path) -> Settings:
    """Check where recursion begins; a relative path of it begins in the directory."""
    root = settings.recursion_root
    if root is None:
        if settings.recursion_clients and not settings.discovery_zone:
            raise SettingsError("recursion_clients: there is no recursion_root where walks begin")
        return settings
    if is_path(root):
        root = str(directory / root)
    try:
        read_root(root)
    except (OSError, ValueError) as error:
        raise SettingsError(f"recursion_root: {error}") from None
    return msgspec.structs.replace(settings, recursion_root=root)


def _check_discovery(settings: Settings, directory: Path) -> None:
    """Check where nodes are found; a relative path of the anchor begins in the directory."""
    try:
        read_nodes(settings.recursion_nodes)
    except ValueError as error:
        raise SettingsError(f"recursion_nodes: {error}") from None
    anchor = settings.discovery_anchor
    try:
        zone, servers = read_zone(settings.discovery_zone), read_servers(settings.discovery_servers)
        if settings.discovery_zone:
            make_resolver(servers)
        if anchor is not None:
            read_anchors(directory / anchor, zone)
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"discovery_zone, discovery_servers, discovery_anchor: {error}"
        ) from None


_NETWORKS = ("trusted_proxies", "site_networks", "recursion_clients", "recursion_allow_private")

_TYPES = get_type_hints(Settings, include_extras=True)

_Sourced = dict[str, tuple[str, Any]]
"""Setting name -> (where the value stands, the value)."""


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _from_file(environment: Mapping[str, str], directory: Path) -> _Sourced:
    given = environment.get("IDNODE_CONFIG")
    path = directory / (given or FILE)
    if not given and not path.exists():
        return {}
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path}: {error}") from None
    for name in content:
        if name not in _TYPES:
            raise SettingsError(f"{name} in {path}: no such setting")
    return {name: (f"{name} in {path}", value) for name, value in content.items()}


def _from_environment(environment: Mapping[str, str]) -> _Sourced:
    result: _Sourced = {}
    for variable in sorted(environment):
        if not variable.startswith(ENVIRONMENT) or variable in NOT_SETTINGS:
            continue
        name = variable.removeprefix(ENVIRONMENT).lower()
        if name not in _TYPES or variable != ENVIRONMENT + name.upper():
            raise SettingsError(f"{variable}: no such setting")
        if environment[variable]:
            result[name] = (variable, environment[variable])
    return result


def _convert(name: str, source: str, value: Any) -> Any:
    try:
        return msgspec.convert(value, _TYPES[name], strict=False, dec_hook=_decode)
    except msgspec.ValidationError as error:
        reason = str(error).replace("`", "")
        shown = "" if name in SECRET else f", got {value!r}"
        raise SettingsError(f"{source}: {reason[:1].lower()}{reason[1:]}{shown}") from None


def _decode(kind: type, value: Any) -> Any:
    """Read what msgspec has no type for."""
    if kind is Path and isinstance(value, str) and value:
        return Path(value)
    raise msgspec.ValidationError("Expected a path")
