"""The goods of the example: pump sets, and what they are made of, five levels deep."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

SETS = 400
LEVELS = 5
"""Levels of parts below a set."""


@dataclass(frozen=True)
class Thing:
    """A kind of thing: what its suffixes begin with, who makes it, and its parts."""

    kind: str
    maker: str
    name: str
    parts: tuple[Thing, ...] = ()

    def suffix(self, number: int) -> str:
        """Return the suffix of the thing in the set with this number, from 1."""
        return f"{self.kind}-{number:04d}"


def _bearing(kind: str) -> Thing:
    rollers = Thing(f"{kind}-BALLS", "bearings", "滚动体组")
    cage = Thing(f"{kind}-CAGE", "bearings", "保持架组件", (rollers,))
    return Thing(kind, "bearings", "深沟球轴承", (cage, Thing(f"{kind}-RING", "bearings", "外圈")))


_ROTOR = Thing(
    "ROTOR",
    "pumps",
    "转子部件",
    (Thing("SHAFT", "pumps", "泵轴"), Thing("IMPELLER", "castings", "叶轮"), _bearing("BRG-P")),
)
_PUMP = Thing(
    "PUMP",
    "pumps",
    "单级离心泵",
    (_ROTOR, Thing("CASING", "castings", "泵体"), Thing("SEAL", "pumps", "机械密封")),
)
_COIL = Thing(
    "COIL",
    "motors",
    "定子绕组",
    (Thing("WIRE", "wires", "漆包线", (Thing("ROD", "wires", "铜杆"),)),),
)
_MOTOR = Thing(
    "MOTOR",
    "motors",
    "三相异步电动机",
    (
        Thing("STATOR", "motors", "定子", (_COIL,)),
        Thing("ARMATURE", "motors", "转子", (_bearing("BRG-M"),)),
        Thing("FRAME", "castings", "机座"),
    ),
)
_VALVE = Thing("VALVE", "valves", "止回阀", (Thing("BODY", "castings", "阀体"),))
PUMP_SET = Thing(
    "SET", "pumps", "离心泵机组", (_PUMP, _MOTOR, _VALVE, Thing("BASE", "castings", "底座"))
)


def things(whole: Thing = PUMP_SET) -> Iterator[Thing]:
    """Yield all kinds of things that a set consists of, the set first."""
    yield whole
    for part in whole.parts:
        yield from things(part)


def uses(whole: Thing = PUMP_SET) -> Iterator[tuple[Thing, Thing]]:
    """Yield each part with what it is directly a part of."""
    for part in whole.parts:
        yield part, whole
        yield from uses(part)


IDENTIFIERS = SETS * sum(1 for _ in things())


@dataclass(frozen=True)
class Template:
    """A template of a maker. code, division: of its industry, GB/T 4754-2017.

    own: type, Chinese name and data of the one item that others do not have; texts: what of it
    there is.
    """

    name: str
    description: str
    own: tuple[str, str, dict[str, Any]]
    texts: tuple[str, ...]

    def body(self, prefix: str, industry: str) -> dict[str, Any]:
        """Return the body with which it is made."""
        type_, name, data = self.own
        return {
            "prefix": prefix,
            "name": self.name,
            "description": self.description,
            "industry": {
                "category": industry[0],
                "division": industry[1:3],
                "group": industry[1:4],
                "class": industry[1:],
            },
            "items": [*_ITEMS, {"index": 2010, "type": type_, "name": name, "data": data}],
        }


def _decimal(**more: Any) -> dict[str, Any]:
    return {"kind": "decimal", "fraction_digits": 2, "minimum": "0", **more}


_ITEMS: tuple[dict[str, Any], ...] = (
    {
        "index": 2000,
        "type": "NAME",
        "name": "名称",
        "required": True,
        "data": {"kind": "string", "min_length": 1, "max_length": 60},
    },
    {
        "index": 2001,
        "type": "SERIAL",
        "name": "出厂编号",
        "required": True,
        "data": {"kind": "string", "pattern": "[A-Z]{2}[0-9]{8}"},
    },
    {"index": 2002, "type": "MADE_ON", "name": "生产日期", "data": {"kind": "date"}},
    {"index": 2003, "type": "URL", "name": "产品网页", "data": {"kind": "url"}},
    {
        "index": 2004,
        "type": "PRICE",
        "name": "协议价",
        "audience": "partners",
        "data": _decimal(),
    },
)

_KILOWATTS = _decimal(maximum="500")
_STEELS = {"kind": "enum", "values": ["HT200", "HT250", "QT450-10", "ZG230-450"]}
TEMPLATES = {
    "pumps": Template("pump", "泵及其零部件", ("FLOW", "流量 m³/h", _decimal()), ("12.5", "25.00")),
    "motors": Template("motor", "电机及其零部件", ("POWER", "功率 kW", _KILOWATTS), ("7.50", "11")),
    "valves": Template(
        "valve",
        "阀门",
        ("DIAMETER", "公称通径 mm", {"kind": "integer", "minimum": 10, "maximum": 1200}),
        ("50", "65", "80"),
    ),
    "castings": Template("casting", "铸件", ("MATERIAL", "材料牌号", _STEELS), ("HT200", "HT250")),
    "bearings": Template(
        "bearing",
        "轴承及其零件",
        ("MODEL", "型号", {"kind": "string", "pattern": "6[0-9]{3}(-2RS|-2Z)?"}),
        ("6205-2RS", "6306", "6308-2Z"),
    ),
    "wires": Template(
        "wire", "线缆", ("DIAMETER", "线径 mm", _decimal(maximum="20")), ("0.71", "1.25", "8.00")
    ),
}


def rows(maker: str) -> bytes:
    """Return what a maker has made as CSV, the same each time."""
    template = TEMPLATES[maker]
    chance = random.Random(maker)  # noqa: S311  (an example, no secret)
    output = io.StringIO()
    writer = csv.writer(output)
    writer.writerow(
        ("suffix", "名称", "出厂编号", "生产日期", "产品网页", "协议价", template.own[1])
    )
    for number in range(1, SETS + 1):
        for thing in things():
            if thing.maker == maker:
                suffix = thing.suffix(number)
                serial = f"{maker[:2].upper()}{chance.randrange(10**8):08d}"
                made = f"2026-{chance.randrange(1, 10):02d}-{chance.randrange(1, 29):02d}"
                price = f"{chance.randrange(500, 200_000) / 100:.2f}"
                page = f"https://{maker}.example/{suffix.lower()}"
                own = chance.choice(template.texts)
                writer.writerow((suffix, thing.name, serial, made, page, price, own))
    return output.getvalue().encode()


def last_suffix(maker: str) -> str:
    """Return the suffix in the last row of a maker."""
    *_, last = (thing for thing in things() if thing.maker == maker)
    return last.suffix(SETS)


TEA = {
    "first": "TEA-2026-0000001",
    "last": "TEA-2026-1000000",
    "substitute": True,
    "values": [
        {
            "index": 1,
            "type": "URL",
            "data": {"format": "string", "value": "https://tea.example/{suffix}"},
        },
        {
            "index": 2000,
            "type": "NAME",
            "data": {"format": "string", "value": "示例铁观音 2026 春茶,第 {number} 盒"},
        },
    ],
}
"""A roll of labels for boxes of tea: a range of a million numbers."""
