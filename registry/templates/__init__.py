"""Templates (数据模板): what the identifiers of an enterprise may and must say.

A template has a name under a prefix, and versions 1, 2, 3. An identifier that is registered with
``goods/3`` is held to version 3 of the template ``goods`` of its own prefix.
"""
