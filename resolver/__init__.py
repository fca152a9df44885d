"""What is answered: cache, lookup, change feed, transports, federation."""
