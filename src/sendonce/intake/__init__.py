"""Lists of recipients on their way in: bytes of an upload become validated rows, in bounded memory."""
