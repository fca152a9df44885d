"""`make bench`: how far from the limit the node is, beside its peers, in one run."""
