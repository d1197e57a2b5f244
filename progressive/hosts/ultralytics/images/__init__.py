"""Load images at the size of the stage."""
