"""The command `idnode`. Exit codes: 0 done, 1 failed, 2 wrong usage or settings."""

from __future__ import annotations

import click

from admin.commands import node
from admin.words import words

CONTEXT = {"help_option_names": ["-h", "--help"]}


@click.group(
    context_settings=CONTEXT,
    help=words(
        "Open secondary node of the industrial internet identifier resolution system.",
        "开放的工业互联网标识解析二级节点。",
    ),
)
def main() -> None:
    """Run the command line."""


main.add_command(node.serve, "serve")
main.add_command(node.migrate, "migrate")
main.add_command(node.toplevel_command, "toplevel")
main.add_command(node.version, "version")


if __name__ == "__main__":
    main()
