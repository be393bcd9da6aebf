"""Tests of the WhatsApp stand-in."""
