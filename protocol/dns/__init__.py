"""What the DNS front says on the wire: names of identifiers, queries, NAPTR records. Pure."""
