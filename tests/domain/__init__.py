"""What the domain promises, without a store."""
