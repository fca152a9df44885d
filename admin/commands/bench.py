"""idnode bench: the benchmarks, where the source tree with them is present."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click

from admin.words import Failure, words

_ROOT = Path(__file__).parents[2]


@click.command(
    help=words("Measure this node beside its peers.", "与同类软件对比测量。"),
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def bench(arguments: tuple[str, ...]) -> None:
    """Run the benchmarks; the arguments are theirs."""
    if not (_ROOT / "benchmarks" / "__main__.py").exists():
        raise Failure(
            "the benchmarks are not here: run `make bench` in the source tree",
            "未找到基准测试:请在源码目录运行 make bench",
        )
    command = [sys.executable, "-m", "benchmarks", *arguments]
    code = subprocess.run(command, cwd=_ROOT, check=False).returncode
    if code:
        raise click.exceptions.Exit(code)
