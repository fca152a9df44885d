"""idnode audit: looks whether the audit log is as it was, and whether a proof holds."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import click
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from admin import datadir
from admin.commands.options import json_option, settings_options
from admin.commands.store import database_url
from admin.settings import Settings
from admin.words import Failure, show, words
from protocol import tree_head
from protocol.errors import StoreUnavailable
from protocol.merkle import BadProof
from registry.api.bodies import log as bodies
from registry.database import Database
from registry.transparency import offline, verification
from registry.transparency.findings import Finding, Kind, Report
from registry.transparency.heads import SignedHead
from registry.transparency.keys import load_key

_MAX_FILE_BYTES = 64 * 1024 * 1024

_TOLD: Mapping[Kind, tuple[str, str]] = {
    Kind.ALTERED: (
        "line {seq} (leaf {first}) was altered: it does not say what it said",
        "第 {seq} 行(叶 {first})被篡改:内容与入树时不同",
    ),
    Kind.DELETED: ("line {seq} (leaf {first}) was deleted", "第 {seq} 行(叶 {first})被删除"),
    Kind.INSERTED: (
        "line {seq} was inserted past the tree: it was not there when its turn was",
        "第 {seq} 行是事后插入的:未曾入树",
    ),
    Kind.REORDERED: (
        "line {seq} (leaf {first}) stands where another was: it was line {other}",
        "第 {seq} 行(叶 {first})次序被调换:原为第 {other} 行",
    ),
    Kind.ENTRY: (
        "leaves {first} to {last} are missing from the tree, or there twice",
        "叶 {first} 至 {last} 在树中缺失或重复",
    ),
    Kind.NODE: (
        "leaves {first} to {last} are not those over which the tree was built",
        "叶 {first} 至 {last} 与建树时不同",
    ),
    Kind.HEAD: (
        "leaves {first} to {last} are not those that were signed on {moment}",
        "叶 {first} 至 {last} 与 {moment} 签署的内容不同",
    ),
    Kind.SHRUNK: (
        "leaves {first} to {last} are gone, which were signed on {moment}",
        "于 {moment} 签署的叶 {first} 至 {last} 已不存在",
    ),
    Kind.SIGNATURE: (
        "the head of {moment} is not signed by the key that it names",
        "{moment} 的树头签名无效",
    ),
    Kind.KEY: (
        "the head of {moment} is signed by another key than the one given",
        "{moment} 的树头由其他密钥签署",
    ),
    Kind.ORDER: (
        "the head of {moment} is not later than the one before it",
        "{moment} 的树头不晚于前一个树头",
    ),
    Kind.UNGUARDED: (
        "table {table} has lost the trigger that keeps it from being altered",
        "表 {table} 失去了防篡改触发器",
    ),
}

Body = TypeVar("Body", bound=msgspec.Struct)


@click.group(help=words("The audit log and its proofs.", "审计日志及其证明。"))
def audit() -> None:
    """Hold the commands on the audit log."""


@audit.command(
    "verify",
    help=words(
        "Check the whole audit log of the database, or a proof without a database."
        " Exit code 1: something is wrong.",
        "校验数据库的全部审计日志,或离线校验一份证明。发现问题时退出码为 1。",
    ),
)
@click.option(
    "--proof",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Check this answer of GET .../proof instead; needs --key and no database.",
)
@click.option(
    "--key",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="PEM file of the public key that must have signed.",
)
@click.option(
    "--since",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A head that was kept elsewhere, as GET /api/v1/log/head answered it.",
)
@json_option
@settings_options("data_dir")
def verify(
    settings: Settings,
    read_settings: Callable[[], Settings],
    *,
    proof: Path | None,
    key: Path | None,
    since: Path | None,
    as_json: bool,
) -> None:
    """Check the audit log or a proof; exit code 1 if something is wrong."""
    del read_settings
    if proof is not None:
        if key is None or since is not None:
            raise click.UsageError(
                words(
                    "--proof needs --key, and no --since", "--proof 须与 --key 同用,不可带 --since"
                )
            )
        _verify_proof(proof, read_key(key), as_json=as_json)
        return
    pinned = None if key is None else read_key(key)
    kept = None if since is None else _kept(since)
    report = _verify_database(settings, pinned, kept)
    show(_as_json(report), _as_text(report), as_json=as_json)
    if not report.whole:
        raise click.exceptions.Exit(1)


@audit.command(
    "key",
    help=words("Print the public key that signs tree heads, in PEM.", "显示签署树头的公钥(PEM)。"),
)
@settings_options("data_dir", "log_key")
def public_key(settings: Settings, read_settings: Callable[[], Settings]) -> None:
    """Print the public key."""
    del read_settings
    click.echo(tree_head.pem(own_key(settings).public_key()), nl=False)


def own_key(settings: Settings) -> Ed25519PrivateKey:
    """Return the key that this node signs tree heads with. Raises Failure."""
    path = datadir.log_key(settings)
    try:
        return load_key(path)
    except FileNotFoundError as error:
        raise Failure(
            f"{path}: there is no key yet; it is made when the node starts",
            f"{path}:尚无密钥,节点启动时生成",
        ) from error
    except (OSError, ValueError) as error:
        raise Failure(f"{path}: {error}") from error


def _verify_proof(path: Path, key: Ed25519PublicKey, *, as_json: bool) -> None:
    proof = _read(path, bodies.IdentifierProof)
    try:
        offline.check(proof, key)
    except BadProof as error:
        show({"valid": False, "reason": str(error)}, f"{path}: {error}", as_json=as_json)
        raise click.exceptions.Exit(1) from error
    moment = _moment(proof.head.timestamp)
    lines = [each.leaf_input for each in proof.items]
    text = words(
        f"{len(lines)} lines about {proof.handle} are in the log as it was signed on {moment}:",
        f"关于 {proof.handle} 的 {len(lines)} 行审计记录包含在 {moment} 签署的日志中:",
    )
    found = {
        "valid": True,
        "handle": proof.handle,
        "signed": moment,
        "tree_size": proof.head.tree_size,
        "lines": [msgspec.Raw(line.encode()) for line in lines],
        "waiting": proof.waiting,
        "next": proof.next,
    }
    show(found, "\n".join([text, *lines]), as_json=as_json)


def _verify_database(
    settings: Settings, key: Ed25519PublicKey | None, kept: SignedHead | None
) -> Report:
    async def run(url: str) -> Report:
        database = Database(url, pool_size=1)
        try:
            return await verification.verify(database, key=key, kept=kept)
        finally:
            await database.close()

    with database_url(settings) as url:
        try:
            return asyncio.run(run(url))
        except StoreUnavailable as error:
            raise Failure(f"the database does not answer: {error.__cause__}") from error
        except asyncpg.UndefinedTableError as error:
            raise Failure(
                "the database has no tables yet: run idnode migrate first",
                "数据库尚无数据表:请先运行 idnode migrate",
            ) from error


def read_key(path: Path) -> Ed25519PublicKey:
    """Read a public key in PEM. Raises Failure."""
    try:
        return tree_head.decode_key(_bytes(path))
    except BadProof as error:
        raise Failure(f"{path}: {error}") from error


def _kept(path: Path) -> SignedHead:
    try:
        return offline.signed_head(_read(path, bodies.Head))
    except BadProof as error:
        raise Failure(f"{path}: {error}") from error


def _read(path: Path, type_: type[Body]) -> Body:
    try:
        return msgspec.json.decode(_bytes(path), type=type_)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Failure(f"{path}: {error}") from error


def _bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        octets = file.read(_MAX_FILE_BYTES + 1)
    if len(octets) > _MAX_FILE_BYTES:
        raise Failure(f"{path}: more than {_MAX_FILE_BYTES} bytes")
    return octets


def _moment(milliseconds: int | None) -> str:
    """Return a time as in RFC 3339; as a number where a file says what is no time."""
    if milliseconds is None:
        return ""
    try:
        moment = datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.UTC)
    except (OverflowError, ValueError, OSError):
        return str(milliseconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _as_json(report: Report) -> dict[str, Any]:
    found = msgspec.to_builtins(report)
    for told, finding in zip(found["findings"], report.findings, strict=True):
        told["text"] = _sentence(finding)
    return {"whole": report.whole, **found}


def _as_text(report: Report) -> str:
    lines = [_sentence(each) for each in report.findings]
    if report.more:
        lines.append(words("and more", "以及更多"))
    lines.append(
        words(
            f"{'whole' if report.whole else 'NOT WHOLE'}: {report.entries:,} entries,"
            f" {report.signed:,} of them signed, {report.heads:,} heads,"
            f" {report.waiting:,} lines not in the tree yet",
            f"{'完好' if report.whole else '有问题'}:树中 {report.entries:,} 条,"
            f"其中 {report.signed:,} 条已签署,树头 {report.heads:,} 个,"
            f"{report.waiting:,} 行尚未入树",
        )
    )
    lines += [words(f"log {each}", f"日志 {each}") for each in report.log_ids]
    return "\n".join(lines)


def _sentence(finding: Finding) -> str:
    moment = _moment(finding.timestamp)
    return words(*_TOLD[finding.kind]).format(**vars(finding), moment=moment)
