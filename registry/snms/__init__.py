"""The SNMS API, versions 3 and 5: what applications of a secondary node already speak.

Source: teleinfo-dev/id-guide, docs/dev-tools/snms. It is another way in to the same services:
records are identifiers, templates are templates of registry/templates.
"""
