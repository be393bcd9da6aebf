"""WhatsApp over Meta's Cloud API."""

from sendonce.channels.whatsapp.channel import WhatsApp

__all__ = ["WhatsApp"]
