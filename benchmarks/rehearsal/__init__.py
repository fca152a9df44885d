"""`make rehearsal`: a tower of nodes on one machine, and what it does when parts of it fail."""
