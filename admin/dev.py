"""`make run`: a node and a stub of the top-level node side by side, as one thing to start and stop.

Ctrl-C stops both; so does the end of this process, however it ends.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
import time
from collections.abc import Mapping

import aiohttp
import click

from admin import logs, settings
from admin.settings import Settings, SettingsError
from admin.supervisor import address
from admin.waiting import wait
from admin.words import say

_READY_SECONDS = 180.0
_LOOK_SECONDS = 0.1


@click.command()
def main() -> None:
    """Run both until Ctrl-C."""
    try:
        loaded = settings.load()
        logs.configure("warning")
        code = asyncio.run(_run(loaded))
    except SettingsError as error:
        raise click.UsageError(str(error)) from error
    raise click.exceptions.Exit(code)


async def _run(loaded: Settings) -> int:
    stop, hurry = asyncio.Event(), asyncio.Event()
    _listen_to_signals(stop, hurry)
    began = time.monotonic()
    environment = _environment(loaded)
    programs = [await _start(name, environment) for name in ("toplevel", "serve")]
    ended = [asyncio.create_task(program.wait()) for program in programs]
    ready = asyncio.create_task(_tell_when_ready(loaded, began, stop))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait((*ended, stopping), return_when=asyncio.FIRST_COMPLETED)
    failed = not stop.is_set()
    stop.set()
    await _end(programs, ended, hurry)
    await ready
    stopping.cancel()
    say("Stopped.", "已停止。")
    return 1 if failed or any(task.result() for task in ended) else 0


def _listen_to_signals(stop: asyncio.Event, hurry: asyncio.Event) -> None:
    def end() -> None:
        (hurry if stop.is_set() else stop).set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, end)


def _environment(loaded: Settings) -> Mapping[str, str]:
    """Return the environment of both: the node files its prefixes at the stub."""
    stub = address(loaded.bind, loaded.toplevel_port)
    return {
        **os.environ,
        "IDNODE_TOPLEVEL_URL": loaded.toplevel_url or stub,
        "IDNODE_TOPLEVEL_PLAIN": "true",  # both on this machine, and gone with it
        "IDNODE_TOPLEVEL_TOKEN": loaded.toplevel_token or secrets.token_urlsafe(24),
    }


async def _start(name: str, environment: Mapping[str, str]) -> asyncio.subprocess.Process:
    """Start `idnode NAME`. In a group of its own, so that Ctrl-C reaches it once, from here."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "admin.cli",
        name,
        "--lifeline",
        env=environment,
        stdin=asyncio.subprocess.PIPE,
        process_group=0,
    )


async def _end(
    programs: list[asyncio.subprocess.Process],
    ended: list[asyncio.Task[int]],
    hurry: asyncio.Event,
) -> None:
    def terminate() -> None:
        for program, task in zip(programs, ended, strict=True):
            if not task.done():
                os.kill(program.pid, signal.SIGTERM)

    terminate()
    all_ended = asyncio.gather(*ended)
    hurrying = asyncio.create_task(hurry.wait())
    await asyncio.wait((all_ended, hurrying), return_when=asyncio.FIRST_COMPLETED)
    hurrying.cancel()
    if not all_ended.done():
        terminate()
    await all_ended


async def _tell_when_ready(loaded: Settings, began: float, stop: asyncio.Event) -> None:
    addresses = (
        f"{address(loaded.bind, loaded.admin_port)}/readyz",
        f"{address(loaded.bind, loaded.toplevel_port)}/healthz",
    )
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
        for url in addresses:
            while not await _answers(session, url):
                if await wait(stop, _LOOK_SECONDS) or time.monotonic() - began > _READY_SECONDS:
                    return
    _welcome(loaded, time.monotonic() - began)


async def _answers(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as reply:
            return reply.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False


def _welcome(loaded: Settings, seconds: float) -> None:
    http = address(loaded.bind, loaded.http_port)
    admin = address(loaded.bind, loaded.admin_port)
    toplevel = address(loaded.bind, loaded.toplevel_port)
    token_file = loaded.data_dir / "bootstrap-token"
    token = "$IDNODE_BOOTSTRAP_TOKEN" if loaded.bootstrap_token else f"$(cat {token_file})"
    say(
        f"""
Ready after {seconds:.1f} s.
  node       {http}   API {http}/docs
  operator   {admin}   console, /metrics, /readyz
  top level  {toplevel}   stub that keeps filed prefixes
Sign in as the first operator with the bearer token in {token_file}:
  curl -H "Authorization: Bearer {token}" {http}/api/v1/enterprises
Fill it with an example from another terminal: make demo
Ctrl-C stops everything.
""",
        f"""
{seconds:.1f} 秒后就绪。
  节点       {http}   接口文档 {http}/docs
  运维       {admin}   控制台、/metrics、/readyz
  顶级节点桩 {toplevel}   保存已上报的前缀
首位操作员的令牌在 {token_file}:
  curl -H "Authorization: Bearer {token}" {http}/api/v1/enterprises
在另一终端填入示例数据:make demo
按 Ctrl-C 全部停止。
""",
    )


if __name__ == "__main__":
    main()
