"""One suite, by topic, that every engine passes."""
