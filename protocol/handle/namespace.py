"""HS_NAMESPACE: an XML document about the identifiers under a prefix (Handle.Net manual, 11).

Its root element is ``namespace``. What servers and clients read of it may come from anybody, so a
document type, which is where entities are declared, is refused: no well-formed text of bounded
length grows beyond it then.
"""

from __future__ import annotations

from xml.parsers import expat  # not to be read into a tree, and without any declarations

from protocol.errors import InvalidValue

ROOT = "namespace"
MAX_DEPTH = 32
"""Elements that stand in each other."""


def check_namespace(data: bytes) -> None:
    """Check the data of HS_NAMESPACE. Raises InvalidValue with the rule that they break."""
    depth = 0

    def start(name: str, _attributes: object) -> None:
        nonlocal depth
        depth += 1
        if depth == 1 and name != ROOT:
            raise InvalidValue(f"the root element is {ROOT}")
        if depth > MAX_DEPTH:
            raise InvalidValue(f"more than {MAX_DEPTH} elements stand in each other")

    def end(_name: str) -> None:
        nonlocal depth
        depth -= 1

    def declaration(_version: str, encoding: str | None, _standalone: int) -> None:
        if encoding is not None and encoding.upper() != "UTF-8":
            raise InvalidValue("the XML is in UTF-8")

    def refuse(*_declaration: object) -> None:
        raise InvalidValue("a document type, and entities with it, is not taken")

    parser = expat.ParserCreate("UTF-8")
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.XmlDeclHandler = declaration
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        words = expat.errors.messages[error.code]
        raise InvalidValue(f"line {error.lineno} of the XML: {words}") from None
