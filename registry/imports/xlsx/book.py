"""What a workbook says of its sheets: where they are, and which cells are dates."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field

from registry.imports.readers import Unreadable
from registry.imports.xlsx.archive import Archive
from registry.imports.xlsx.markup import Attributes, Handler, parse_all

MAX_SHEETS = 1000
MAX_STYLES = 65_536
_MAX_BYTES = 16 << 20
_MAX_RELATIONS = 4 * MAX_SHEETS
_RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships Relationship"

# Formats of days and times that have no code of their own (ISO/IEC 29500-1 18.8.30, numFmt);
# those of East Asia among them. 46 is a duration.
_MOMENTS = {*range(14, 23), *range(27, 37), 45, 47, *range(50, 59)}
_ELAPSED = re.compile(r"\[(?:h+|m+|s+)\]", re.IGNORECASE)
_QUOTED = re.compile(r'"[^"]*"|\\.|\[[^\]]*\]|_.|\*.')


@dataclass(frozen=True, slots=True)
class Book:
    """Where the parts of a workbook are.

    sheet: of the one that is read. strings: None where there are no shared ones. moments: the
    styles of cells that hold days or times of day. from_1904: whether days are counted from then.
    """

    sheet: str
    strings: str | None
    moments: frozenset[int]
    from_1904: bool


def read_book(archive: Archive, wanted: str | None = None) -> Book:
    """Find the sheet named `wanted`, or else the first one. Raises Unreadable."""
    main = next(iter(_related(archive, "", "officeDocument").values()), None)
    if main is None:
        raise Unreadable("the file is not an XLSX workbook; save it as .xlsx, or as CSV")
    workbook = _Workbook()
    parse_all(main, archive.stream(main, maximum=_MAX_BYTES), workbook)
    sheets = _related(archive, main, "worksheet")
    titles = [title for title, relation in workbook.sheets if relation in sheets]
    if wanted is not None and wanted not in titles:
        raise Unreadable(f"the workbook has no sheet {wanted!r}")
    if not titles:
        raise Unreadable("the workbook has no sheet")
    title = titles[0] if wanted is None else wanted
    relation = next(id_ for name, id_ in workbook.sheets if name == title and id_ in sheets)
    strings = list(_related(archive, main, "sharedStrings").values())
    styles = _Styles()
    for part in _related(archive, main, "styles").values():
        parse_all(part, archive.stream(part, maximum=_MAX_BYTES), styles)
    return Book(
        sheets[relation],
        strings[0] if strings else None,
        frozenset(styles.moments),
        workbook.from_1904,
    )


def _related(archive: Archive, part: str, kind: str) -> dict[str, str]:
    """Return the parts of a kind that belong to `part`, by the id of the relation."""
    folder, name = posixpath.split(part)
    place = posixpath.join(folder, "_rels", f"{name}.rels")
    if archive.size(place) is None:
        return {}
    relations = _Relations(kind)
    parse_all(place, archive.stream(place, maximum=_MAX_BYTES), relations)
    return {
        id_: posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/")
        for id_, target in relations.found.items()
    }


@dataclass(slots=True)
class _Relations(Handler):
    kind: str
    found: dict[str, str] = field(default_factory=dict)

    def start(self, name: str, attributes: Attributes) -> None:
        if name != _RELATIONS or attributes.get("TargetMode") == "External":
            return
        if attributes.get("Type", "").rpartition("/")[2] == self.kind:
            self.found[attributes.get("Id", "")] = attributes.get("Target", "")
            if len(self.found) > _MAX_RELATIONS:
                raise Unreadable("the workbook has too many parts that belong together")


@dataclass(slots=True)
class _Workbook(Handler):
    sheets: list[tuple[str, str]] = field(default_factory=list)
    from_1904: bool = False

    def start(self, name: str, attributes: Attributes) -> None:
        if name == "workbookPr":
            self.from_1904 = attributes.get("date1904") in ("1", "true")
        elif name == "sheet":
            if len(self.sheets) >= MAX_SHEETS:
                raise Unreadable(f"the workbook has more than {MAX_SHEETS} sheets")
            relation = next(
                (v for k, v in attributes.items() if k.endswith("relationships id")), ""
            )
            self.sheets.append((attributes.get("name", ""), relation))


@dataclass(slots=True)
class _Styles(Handler):
    """Formats of numbers come before the styles that use them."""

    moments: set[int] = field(default_factory=set)
    _codes: dict[str, str] = field(default_factory=dict)
    _styles: int = 0
    _in_styles: bool = False

    def start(self, name: str, attributes: Attributes) -> None:
        if name == "numFmt":
            if len(self._codes) >= MAX_STYLES:
                raise Unreadable("the workbook has too many formats of numbers")
            self._codes[attributes.get("numFmtId", "")] = attributes.get("formatCode", "")
        elif name == "cellXfs":
            self._in_styles = True
        elif name == "xf" and self._in_styles:
            self._add(attributes.get("numFmtId", "0"))

    def end(self, name: str) -> None:
        if name == "cellXfs":
            self._in_styles = False

    def _add(self, format_: str) -> None:
        if self._styles >= MAX_STYLES:
            raise Unreadable("the workbook has too many styles")
        code = self._codes.get(format_)
        if format_ in _BUILT_IN if code is None else _is_moment(code):
            self.moments.add(self._styles)
        self._styles += 1


_BUILT_IN = frozenset(map(str, _MOMENTS))


def _is_moment(code: str) -> bool:
    """Whether a format such as ``yyyy-mm-dd`` shows a day or a time of day."""
    if _ELAPSED.search(code):
        return False
    first = _QUOTED.sub("", code).partition(";")[0].lower()
    return any(letter in first for letter in "ydhs") and "general" not in first
