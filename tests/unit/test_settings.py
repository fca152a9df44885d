"""Settings come from four places in order, and a wrong one is named in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from admin import settings
from admin.settings import SettingsError


def test_flags_win_over_environment_over_file_over_defaults(tmp_path: Path) -> None:
    (tmp_path / "idnode.toml").write_text(
        'http_port = 1001\nadmin_port = 1002\nlog_level = "error"\n'
    )
    loaded = settings.load(
        {"IDNODE_HTTP_PORT": "2001", "IDNODE_ADMIN_PORT": "2002", "HOME": "/"},
        flags={"http_port": "3001"},
        directory=tmp_path,
    )
    assert (loaded.http_port, loaded.admin_port, loaded.log_level) == (3001, 2002, "error")
    assert loaded.prefix == "88.118"
    assert loaded.data_dir == tmp_path / "var"


def test_empty_variable_counts_as_unset(tmp_path: Path) -> None:
    loaded = settings.load({"IDNODE_DATABASE_URL": ""}, directory=tmp_path)
    assert loaded.database_url is None


def test_named_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text('prefix = "88.709"')
    loaded = settings.load({"IDNODE_CONFIG": "other.toml"}, directory=tmp_path)
    assert loaded.prefix == "88.709"


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"IDNODE_HTTP_PORT": "99999"}, ("IDNODE_HTTP_PORT", "65535", "99999")),
        ({"IDNODE_HTTP_PORT": "http"}, ("IDNODE_HTTP_PORT", "int", "http")),
        ({"IDNODE_WORKERS": "0"}, ("IDNODE_WORKERS", ">= 1")),
        ({"IDNODE_LOG_LEVEL": "loud"}, ("IDNODE_LOG_LEVEL", "loud")),
        ({"IDNODE_DATABASE_URL": "mysql://u:secret@h/d"}, ("IDNODE_DATABASE_URL", "postgres")),
        ({"IDNODE_PREFIX": "88"}, ("IDNODE_PREFIX", "88")),
        ({"IDNODE_HANDLE_RESOLVER": "h"}, ("IDNODE_HANDLE_RESOLVER", "'h'")),
        ({"IDNODE_HANDLE_RESOLVER": "h:65536"}, ("IDNODE_HANDLE_RESOLVER", "h:65536")),
        ({"IDNODE_HTPP_PORT": "8000"}, ("IDNODE_HTPP_PORT", "no such setting")),
        ({"IDNODE_http_port": "8000"}, ("IDNODE_http_port", "no such setting")),
        ({"IDNODE_TRUSTED_PROXIES": "10.0.0.0/8,10.0.0.1/8"}, ("trusted_proxies", "10.0.0.1/8")),
        ({"IDNODE_RECURSION_CLIENTS": "127.0.0.0/8"}, ("recursion_clients", "recursion_root")),
        ({"IDNODE_RECURSION_CLIENTS": "127.0.0.1/8"}, ("recursion_clients", "127.0.0.1/8")),
        ({"IDNODE_RECURSION_ROOT": "192.0.2.1"}, ("recursion_root", "192.0.2.1")),
        ({"IDNODE_RECURSION_ROOT": "absent.json"}, ("recursion_root", "absent.json")),
        ({"IDNODE_RECURSION_NODES": "88=x"}, ("recursion_nodes", "x")),
        ({"IDNODE_DISCOVERY_SERVERS": "dns.example:53"}, ("discovery_servers", "dns.example")),
        ({"IDNODE_DISCOVERY_ANCHOR": "absent"}, ("discovery_anchor", "absent")),
        ({"IDNODE_CONFIG": "absent.toml"}, ("absent.toml",)),
    ],
)
def test_wrong_setting_is_named_in_one_line(
    environment: dict[str, str], words: tuple[str, ...], tmp_path: Path
) -> None:
    with pytest.raises(SettingsError) as caught:
        settings.load(environment, directory=tmp_path)
    message = str(caught.value)
    assert "\n" not in message
    assert [word for word in words if word not in message] == []
    assert "secret" not in message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("http_port = true", ("http_port in", "idnode.toml")),
        ("htpp_port = 1", ("htpp_port in", "no such setting")),
        ("http_port = ", ("idnode.toml",)),
        ("data_dir = 1", ("data_dir in", "path")),
    ],
)
def test_wrong_setting_in_the_file_is_named_with_the_file(
    content: str, words: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "idnode.toml").write_text(content)
    with pytest.raises(SettingsError) as caught:
        settings.load({}, directory=tmp_path)
    assert [word for word in words if word not in str(caught.value)] == []
    assert "\n" not in str(caught.value)
