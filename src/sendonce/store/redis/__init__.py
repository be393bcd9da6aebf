"""The engine for several machines: Redis (6.2 and later) or Valkey. See DESIGN.md."""
