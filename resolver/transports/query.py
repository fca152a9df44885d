"""The parameters of a request of the Handle JSON API."""

from __future__ import annotations

import re

from multidict import MultiMapping

from protocol.errors import MalformedRequest

_CALLBACK = re.compile(r"[A-Za-z_$][A-Za-z0-9_$.]{0,63}")
_MOST_PARAMETERS = 64
_MOST_INDEXES = 2048
_VARIOUS = "various"


class Query:
    """Parameters; a flag without a value is true, as at the reference server.

    types, indexes: of the values that are meant. selective: whether any are given. various: the
    indexes of a write are those of its values.
    """

    def __init__(self, query: MultiMapping[str], *, write: bool = False) -> None:
        """Read them. write: types mean nothing. Raises MalformedRequest with the parameter."""
        most = _MOST_INDEXES if write else _MOST_PARAMETERS
        if len(query) > most:
            raise MalformedRequest(f"more than {most} parameters", field="query")
        self._query = query
        self.types = query.getall("type", [])
        if write and self.types:
            raise MalformedRequest("a write names values by index", field="type")
        indexes = query.getall("index", [])
        self.various = write and indexes == [_VARIOUS]
        self.indexes = [] if self.various else [self._index(text) for text in indexes]
        self.selective = bool(self.types or self.indexes or self.various)
        self.pretty = self.flag("pretty")
        self.callback = query.get("callback")
        if self.callback is not None and not _CALLBACK.fullmatch(self.callback):
            raise MalformedRequest("not the name of a function", field="callback")

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Whether a flag is set."""
        text = self._query.get(name)
        return default if text is None else text.lower() in ("", "true", "1", "yes")

    @staticmethod
    def _index(text: str) -> int:
        if not (text.isascii() and text.isdecimal() and len(text) <= 10):
            raise MalformedRequest("not a whole number", field="index")
        return int(text)
