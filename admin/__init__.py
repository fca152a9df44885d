"""Who runs it: command line, settings, supervisor, metrics, console, embedded PostgreSQL."""

__version__ = "0.1.0"
