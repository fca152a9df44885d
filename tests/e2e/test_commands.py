"""The commands beside `serve`: what they print, where, and their exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.request import Request, urlopen

from admin import __version__
from tests.e2e.node import TOKEN, Node, command, serve
from tests.xlsx_support import by_openpyxl


def _status(node: Node, token: str) -> int:
    url = f"http://127.0.0.1:{node.http_port}/api/v1/prefixes"
    with urlopen(Request(url, headers={"Authorization": f"Bearer {token}"}), timeout=10) as reply:
        status: int = reply.status
        return status


def _signs_in(node: Node, name: str, password: str) -> bool:
    answer = node.call("POST", "/api/v1/sessions", {"name": name, "password": password})
    return answer.status == 201 and _status(node, answer.json["token"]) == 200


def test_users_and_keys_are_made_beside_a_running_node_and_without_one(directory: Path) -> None:
    with serve(directory) as node:
        added = command("user", "add", "desk", "--role", "reviewer", cwd=directory)
        assert added.returncode == 0, added.stderr
        assert _signs_in(node, "desk", added.stdout.strip())
        own = command("key", "issue", "--account", "desk", "--days", "1", cwd=directory)
        assert _status(node, own.stdout.strip()) == 200
        again = command("user", "add", "desk", "--role", "reviewer", cwd=directory)
        assert again.returncode == 1
        assert "the name desk is taken" in again.stderr

        node.register([])
        (enterprise,) = node.get("/api/v1/enterprises").json["items"]
        issued = command("key", "issue", enterprise["id"], "--json", cwd=directory)
        assert _status(node, json.loads(issued.stdout)["key"]) == 200
        unknown = "00000000-0000-4000-8000-000000000000"
        assert command("key", "issue", unknown, cwd=directory).returncode == 1
        for wrong in (("35",), (), (enterprise["id"], "--account", "desk")):
            assert command("key", "issue", *wrong, cwd=directory).returncode == 2

    late = command("user", "add", "late", "--role", "operator", "--json", cwd=directory)
    assert late.returncode == 0, late.stderr
    assert not (directory / "var" / "postgres" / "data" / "postmaster.pid").exists(), (
        "the command stops the PostgreSQL that it started"
    )
    with serve(directory) as node:
        assert _signs_in(node, "late", json.loads(late.stdout)["password"])


def test_resolve_prints_values_and_fails_for_what_is_not_registered(
    directory: Path, database_url: str
) -> None:
    with serve(directory, database_url=database_url) as node:
        prefix = node.register(["SN-1"])
        port = node.http_port
        found = command("resolve", f"{prefix}/sn-1", cwd=directory, http_port=port)
        assert found.returncode == 0, found.stderr
        assert "https://pumps.example/SN-1" in found.stdout
        answer = command("resolve", f"{prefix}/sn-1", "--json", cwd=directory, http_port=port)
        assert json.loads(answer.stdout)["values"][0]["type"] == "URL"
        absent = command("resolve", f"{prefix}/none", "--json", cwd=directory, http_port=port)
        assert absent.returncode == 1
        assert json.loads(absent.stdout)["responseCode"] == 100
        assert command("resolve", "88.118.1/", cwd=directory, http_port=port).returncode == 2
    away = command("resolve", f"{prefix}/sn-1", cwd=directory, http_port=port)
    assert away.returncode == 1
    assert "does not answer" in away.stderr
    assert "Traceback" not in away.stderr


def test_import_tells_how_many_rows_were_refused_and_where_to_read_why(
    directory: Path, database_url: str
) -> None:
    with serve(directory, database_url=database_url) as node:
        prefix = node.register([])
        settings = {"http_port": node.http_port, "token": TOKEN}
        file = directory / "pumps.csv"
        file.write_text("suffix,URL,ttl\nA,https://a.example,60\nB,https://b.example,soon\n")
        some = command("import", "pumps.csv", "--prefix", prefix, cwd=directory, **settings)
        assert some.returncode == 1, some.stderr
        assert "1 rows registered, 1 refused" in some.stdout
        errors = some.stdout.split()[-1]
        request = Request(errors, headers={"Authorization": f"Bearer {TOKEN}"})
        with urlopen(request, timeout=10) as reply:
            assert reply.read().decode().splitlines()[1].startswith("3,ttl,")
        assert node.get(f"/api/handles/{prefix}/A").status == 200

        file.write_text("suffix,URL\nC,https://c.example\n")
        all_ = command(
            "import", "pumps.csv", "--prefix", prefix, "--json", cwd=directory, **settings
        )
        assert all_.returncode == 0, all_.stderr
        assert json.loads(all_.stdout)["done"] == 1
        refused = command("import", "pumps.csv", cwd=directory, http_port=node.http_port)
        assert refused.returncode == 1
        assert "no token" in refused.stderr
        wrong = {**settings, "token": TOKEN + "x"}
        unknown = command("import", "pumps.csv", cwd=directory, **wrong)
        assert unknown.returncode == 1
        assert "HTTP 401" in unknown.stderr
    file.rename(directory / "pumps.txt")
    assert command("import", "pumps.txt", cwd=directory, **settings).returncode == 2


def test_a_file_is_tried_mapped_imported_and_exported_again(
    directory: Path, database_url: str
) -> None:
    with serve(directory, database_url=database_url) as node:
        prefix = node.register([])
        settings = {"http_port": node.http_port, "token": TOKEN}
        template = {
            "prefix": prefix,
            "name": "pump",
            "items": [{"index": 2000, "type": "NAME", "name": "名称", "data": {"kind": "string"}}],
        }
        assert node.call("POST", "/api/v1/templates", template).status == 201
        path = f"/api/v1/templates/{prefix}/pump/1/publish"
        assert node.call("POST", path).status == 200
        file = directory / "pumps.xlsx"
        file.write_bytes(by_openpyxl([["编号", "品名"], ["A", "离心泵"], ["B", "=1+1"]]))
        (directory / "erp.json").write_text('{"suffix": "编号", "columns": {"品名": "名称"}}')
        given = ("--prefix", prefix, "--template", "pump", "--mapping", "@erp.json")
        tried = command(
            *("import", "pumps.xlsx", *given, "--dry-run", "--json"), cwd=directory, **settings
        )
        assert tried.returncode == 1, tried.stderr
        assert json.loads(tried.stdout)["state"] == "checked"
        assert json.loads(tried.stdout)["failed"] == 1, "a formula without a result"
        assert node.get(f"/api/handles/{prefix}/A").status == 404, "nothing was registered"
        insert = ("import", "pumps.xlsx", *given, "--mode", "insert")
        told = command(*insert, cwd=directory, **settings)
        assert "1 rows registered, 1 refused" in told.stdout, told.stderr
        told = command(*insert, cwd=directory, **settings)
        assert "0 rows registered, 2 refused" in told.stdout
        for name in ("all.ndjson", "all.csv", "all.xlsx"):
            made = command("export", prefix, "--output", name, cwd=directory, **settings)
            assert made.returncode == 0, made.stderr
            assert f"{name}: {(directory / name).stat().st_size:,} bytes" in made.stdout
        printed = command("export", prefix, cwd=directory, **settings)
        assert printed.stdout == (directory / "all.ndjson").read_text()
        assert json.loads(printed.stdout.splitlines()[0])["identifier"] == f"{prefix}/A"
        again = command("export", prefix, "--output", "all.csv", cwd=directory, **settings)
        assert again.returncode == 1
        assert "is there already" in again.stderr
        none = command("export", "88.9.9", "--output", "none.csv", cwd=directory, **settings)
        assert none.returncode == 1, none.stdout
        assert not (directory / "none.csv").exists()
        (directory / "erp.json").write_text("[]")
        assert command(*insert, cwd=directory, **settings).returncode == 2


def test_version_and_language(directory: Path) -> None:
    assert command("version", cwd=directory).stdout == f"idnode {__version__}\n"
    assert json.loads(command("version", "--json", cwd=directory).stdout) == {
        "version": __version__
    }
    assert "Run the node" in command("--help", cwd=directory).stdout
    assert "运行节点" in command("--help", cwd=directory, language="zh_CN.UTF-8").stdout


def test_package_of_the_present_directory_is_not_taken_for_ours(
    directory: Path, database_url: str
) -> None:
    (directory / "admin").mkdir()
    (directory / "admin" / "__init__.py").write_text("raise SystemExit('not this one')\n")
    with serve(directory, database_url=database_url) as node:
        assert node.ready()
