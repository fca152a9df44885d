"""idnode bench: the benchmarks, where the source tree with them is present."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import click

from admin.words import Failure, words


@click.command(
    help=words("Measure this node beside its peers.", "与同类软件对比测量。"),
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def bench(arguments: tuple[str, ...]) -> None:
    """Run the benchmarks; the arguments are theirs."""
    if importlib.util.find_spec("benchmarks") is None:
        raise Failure(
            "the benchmarks are not here: run `make bench` in the source tree",
            "未找到基准测试:请在源码目录运行 make bench",
        )
    code = subprocess.run([sys.executable, "-m", "benchmarks", *arguments], check=False).returncode
    if code:
        raise click.exceptions.Exit(code)
