"""Relations between identifiers: what is part of what, replaced by what, derived from what.

A relation is a statement of the owner of its subject about a target, which may be anybody's: of
another enterprise, or of another node. It changes nothing of the target. Under one prefix `part-of`
and `contains` are the same statement, and stored once; between prefixes each side may state it, and
it holds as long as one of them does.

A statement has an audience, as values have: `public`, everybody; `partners`, the owner of the
target too; `private`, the owner of the subject alone. Staff of the node see all. What an enterprise
said in the past, and does not say now, nobody else is told.

There are no circles: a statement that would close one is refused, also if others close it at the
same moment. What somebody does not see does not count for it, or the refusal would tell of it; the
public relations have no circle, and neither have those of one owner.

A relation ends when it is taken back, and when its subject or its target is deleted; what it was
stays, with who and when.
"""
