"""Compare arms of training: their curves, their statistics, and what follows."""
