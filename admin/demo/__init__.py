"""The example that `idnode demo` fills a node with: a province of enterprises and their goods."""
