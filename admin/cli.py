"""The command `idnode`. Exit codes: 0 done, 1 failed, 2 wrong usage or settings."""

from __future__ import annotations

import click

from admin.commands import (
    audit,
    bench,
    demo,
    enrol,
    escrow,
    exporting,
    importing,
    node,
    people,
    resolving,
    toplevel,
)
from admin.words import words


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    help=words(
        "Open secondary node of the industrial internet identifier resolution system.",
        "开放的工业互联网标识解析二级节点。",
    ),
)
def main() -> None:
    """Run the command line."""


for _name, _command in {
    "serve": node.serve,
    "migrate": node.migrate,
    "toplevel": toplevel.toplevel,
    "enrol": enrol.enrol_command,
    "resolve": resolving.resolve,
    "import": importing.import_file,
    "export": exporting.export_file,
    "user": people.user,
    "key": people.key,
    "audit": audit.audit,
    "escrow": escrow.escrow,
    "restore": escrow.restore,
    "demo": demo.demo,
    "bench": bench.bench,
    "version": node.version,
}.items():
    main.add_command(_command, _name)


if __name__ == "__main__":
    main()
