"""What makes training on a CPU fast."""
