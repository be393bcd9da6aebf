"""What the product talks about, without how it is stored or sent. Imports nothing of ours but itself."""
