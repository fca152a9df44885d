"""The subcommands of `idnode`, a file for each kind."""
