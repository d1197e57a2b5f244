"""Exact resume: the whole state of a training, where it is kept and how it is taken up again.

`keeper` is where to start reading; `parts` lists what the state is made of, `order` goes on within
an epoch, `packing` is the format.
"""
