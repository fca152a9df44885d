"""What is registered; owns the database."""
