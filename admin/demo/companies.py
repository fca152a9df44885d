"""The enterprises of the example. None of them exists: names and addresses say so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from registry.credit_code import check_character


@dataclass(frozen=True)
class Company:
    """An enterprise. number: of its credit code. region: GB/T 2260; industry: GB/T 4754-2017.

    state: the one that it is in at the end. A state before the approval is reached by its own
    filing, any other by the operator's.
    """

    key: str
    number: int
    name: str
    industry: str
    region: str
    state: str = "approved"

    @property
    def credit_code(self) -> str:
        """Unified social credit code (GB 32100-2015): the organisation part MADEM0… is made up."""
        head = f"91{self.region}MADEM{self.number:04d}"
        return head + check_character(head)

    def filing(self) -> dict[str, Any]:
        """Return the body with which an operator registers it."""
        return {
            "name": self.name,
            "credit_code": self.credit_code,
            "industry": self.industry,
            "region": self.region,
            "contact": {
                "name": "标识管理部",
                "phone": f"+86 591 5550{self.number:03d}",
                "email": f"id@{self.key}.example",
            },
        }


COMPANIES = (
    Company("pumps", 1, "示例泵业有限公司", "C3441", "350211"),
    Company("motors", 2, "示例电机制造有限公司", "C3812", "350981"),
    Company("valves", 3, "示例阀门有限公司", "C3443", "350583"),
    Company("castings", 4, "示例铸造有限公司", "C3391", "350111"),
    Company("bearings", 5, "示例轴承有限公司", "C3451", "350600"),
    Company("wires", 6, "示例线缆有限公司", "C3831", "350206"),
    Company("tea", 7, "示例茶业有限公司", "C1530", "350524"),
    Company("furniture", 8, "示例家具有限公司", "C2110", "350783", "filed"),
    Company("yarns", 9, "示例纺纱有限公司", "C1711", "350581", "under_review"),
    Company("seafood", 10, "示例水产有限公司", "C1361", "350582", "rejected"),
    Company("generators", 11, "示例发电设备有限公司", "C3811", "350102", "suspended"),
    Company("cotton", 12, "示例棉业有限公司", "C1711", "350700", "closed"),
)
BY_KEY = {company.key: company for company in COMPANIES}

STEPS = {
    "filed": (),
    "under_review": ("review",),
    "rejected": ("review", "reject"),
    "approved": (),
    "suspended": ("suspend",),
    "closed": ("close",),
}
"""Which steps lead to a state, from the filing or, for the last three, from the approval."""

AFTER = {
    "review": "under_review",
    "reject": "rejected",
    "suspend": "suspended",
    "close": "closed",
}
"""The state that a step ends in."""

REASON = "示例 example"


def files_itself(company: Company) -> bool:
    """Whether it comes in by a filing of its own."""
    return company.state in ("filed", "under_review", "rejected")
