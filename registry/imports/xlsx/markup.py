"""XML as a stream of events, for parts of workbooks that anybody may have made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from xml.parsers import expat

from registry.imports.readers import Unreadable

MAX_DEPTH = 64
MAX_TOKEN_BYTES = 1 << 18
"""A tag with its attributes has to be held in memory whole."""

_MAIN = (
    "http://schemas.openxmlformats.org/spreadsheetml/2006/main",
    "http://purl.oclc.org/ooxml/spreadsheetml/main",  # strict
)

Attributes = dict[str, str]


class Handler:
    """What a part says; subclasses take what they need."""

    def start(self, name: str, attributes: Attributes) -> None:
        """Take a start tag."""

    def end(self, name: str) -> None:
        """Take an end tag."""

    def text(self, text: str) -> None:
        """Take a piece of text; one text may come in several."""

    def moved(self, position: int) -> None:
        """Learn how many bytes of the part are done with."""


def parse(part: str, pieces: Iterable[bytes], handler: Handler) -> Iterator[int]:
    """Hand the events of a part to `handler`; yield after each piece, with its length.

    part: its name, for errors. Names of elements come without SpreadsheetML's namespace, those of
    others with theirs. Raises Unreadable, also for a document type: there are no entities to be
    expanded then, and nothing outside is read.
    """
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    depth = 0

    def start(name: str, attributes: Attributes) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise Unreadable(f"the part {part!r} of the workbook is nested too deeply")
        handler.start(_local(name), attributes)

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        handler.end(_local(name))

    def doctype(*_: object) -> None:
        raise Unreadable(f"the part {part!r} of the workbook has a document type")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = handler.text
    parser.StartDoctypeDeclHandler = doctype
    fed = 0
    try:
        for piece in pieces:
            parser.Parse(piece)
            fed += len(piece)
            if fed - parser.CurrentByteIndex > MAX_TOKEN_BYTES:
                raise Unreadable(f"the part {part!r} of the workbook has a tag that is too long")
            handler.moved(parser.CurrentByteIndex)
            yield len(piece)
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        reason = expat.errors.messages[error.code]
        raise Unreadable(f'the part {part!r} of the workbook is not XML: "{reason}"') from error


def parse_all(part: str, pieces: Iterable[bytes], handler: Handler) -> None:
    """Hand all events of a part to `handler`. Raises Unreadable."""
    for _ in parse(part, pieces, handler):
        pass


def _cut() -> Callable[[str], str]:
    known: dict[str, str] = {}

    def local(name: str) -> str:
        short = known.get(name)
        if short is None:
            namespace, _, short = name.rpartition(" ")
            if namespace not in _MAIN:
                return name
            if len(known) < 1000:
                known[name] = short
        return short

    return local


_local = _cut()
