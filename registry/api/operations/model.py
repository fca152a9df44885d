"""What an operation is: the shape of each line of the table of operations."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Answers:
    """One answer: what it means and its body; without a body where `body` is None.

    others: media types that it may be of instead.
    """

    means: str
    body: Any = None
    media_type: str = "application/json"
    headers: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class Operation:
    """One method of one path.

    who: which roles may. request: the struct of the JSON body. parameters: keys of PARAMETERS.
    refused: the statuses with which it may be refused, beside those of every operation.
    bearer: whether it takes a bearer token. problems: whether it is refused with problem+json.
    """

    method: str
    path: str
    name: str
    summary: str
    summary_zh: str
    who: str
    answers: dict[int, Answers]
    request: Any = None
    request_optional: bool = False
    request_media: tuple[str, ...] = ("application/json",)
    parameters: tuple[str, ...] = ()
    refused: tuple[int, ...] = ()
    notes: str = ""
    group: str = ""
    bearer: bool = True
    problems: bool = True

    @property
    def tag(self) -> str:
        """The resource it belongs to: `group`, or the first part of the path after /api/v1."""
        return self.group or self.path.split("/")[3]


@dataclass(frozen=True)
class Parameter:
    """A parameter in the path, the query or a header.

    name: where it is not its key in PARAMETERS. required: those in the path are in any case.
    """

    where: str
    description: str
    schema: dict[str, Any] = field(default_factory=lambda: {"type": "string"})
    name: str | None = None
    required: bool = False
