"""The rows of the report, and how they are written."""

from __future__ import annotations

import datetime
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec


@dataclass(frozen=True)
class Limit:
    """What a row must reach: its ratio or its figure, at least or at most."""

    of: Literal["ratio", "figure"]
    sign: Literal[">=", "<="]
    value: float
    unit: str = ""

    def met_by(self, value: float) -> bool:
        """Whether `value` is within the limit."""
        return value >= self.value if self.sign == ">=" else value <= self.value

    def __str__(self) -> str:
        return f"{self.sign} {self.value:g} {self.unit or 'x'}"


@dataclass(frozen=True)
class Row:
    """One line of the report.

    figure, peer: what is compared, in `unit`; without a figure the row was not measured and the
    note says why. ratio: figure over peer, the median of the ratios of each round.
    """

    key: str
    name: str
    unit: str
    figure: float | None = None
    peer_name: str = ""
    peer: float | None = None
    ratio: float | None = None
    limit: Limit | None = None
    note: str = ""
    detail: dict[str, float] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """``met``, ``missed``, ``not measured``, or nothing where there is no limit."""
        value = self.ratio if self.limit and self.limit.of == "ratio" else self.figure
        if self.figure is None or (self.limit and value is None):
            return "not measured"
        if self.limit is None or value is None:
            return ""
        return "met" if self.limit.met_by(value) else "missed"


def unmeasured(key: str, name: str, unit: str, why: str, limit: Limit | None = None) -> Row:
    """Return a row that says why there is no figure."""
    return Row(key, name, unit, limit=limit, note=why)


def markdown(machine: dict[str, str], plan: dict[str, Any], rows: list[Row], at: str) -> str:
    """Return the report as Markdown."""
    lines = ["# Benchmarks", "", f"Measured {at}."]
    lines += ["", "| machine | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in machine.items()]
    lines += ["", ", ".join(f"{name} {value:,}" for name, value in plan.items()) + "."]
    lines += ["", "| row | figure | peer | ratio | limit | verdict |", "|---|--:|--:|--:|--:|---|"]
    lines += [_line(row) for row in rows]
    notes = [f"- `{row.key}`: {_details(row)}" for row in rows if row.note or row.detail]
    return "\n".join([*lines, "", *notes, ""])


def _details(row: Row) -> str:
    told = [f"{name.replace('_', ' ')} {value:,.10g}" for name, value in row.detail.items()]
    return "; ".join([*told, row.note] if row.note else told)


def _line(row: Row) -> str:
    peer = f"{_number(row.peer)} {row.peer_name}" if row.peer is not None else row.peer_name
    ratio = f"{row.ratio:.2f} x" if row.ratio is not None else ""
    figure = f"{_number(row.figure)} {row.unit}" if row.figure is not None else "not measured"
    cells = (row.name, figure, peer, ratio, str(row.limit or ""), row.verdict)
    return f"| {' | '.join(cells)} |"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.2f}"


def write(directory: Path, machine: dict[str, str], plan: dict[str, Any], rows: list[Row]) -> str:
    """Write latest.json and latest.md into `directory`; return the Markdown."""
    at = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    text = markdown(machine, plan, rows, at)
    listed = [{**asdict(row), "verdict": row.verdict} for row in rows]
    document = {"measured": at, "machine": machine, "plan": plan, "rows": listed}
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "latest.json").write_bytes(
        msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"
    )
    (directory / "latest.md").write_text(text)
    return text
