"""The configuration: what may be written, what it means, and how Hydra composes it."""
