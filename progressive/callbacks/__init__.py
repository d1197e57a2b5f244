"""Callbacks that apply a schedule to a live trainer, one module per host."""
