"""Labels: identifiers as QR and Data Matrix symbols, as pictures and as sheets to print.

What a symbol says is a URL, so that any phone camera leads to the page for people at
``/resolve/``.
"""
