"""What every engine promises, and what each promises by itself."""
