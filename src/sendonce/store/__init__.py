"""Where contracts live: one protocol, one engine per kind of store. See DESIGN.md beside this file."""
