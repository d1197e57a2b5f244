"""How gradients travel from the loss to the layers of a network: found out, summed up and drawn.

The terms are those of arXiv 2211.04800. A *layer* here is one with a weight matrix or a kernel,
that is a convolution or linear; normalisation, activation and pooling count for nothing.

- A *gradient path* of a layer leads from the loss to it; its length is the number of layers on it,
  the layer itself included.
- Gradient advances by one layer a step, breadth first, and reaches a layer at step n if one of its
  paths has length n. These steps are the layer's *gradient timestamps*: the first is its shortest
  gradient path, the last its longest.
- The *gradient sources* of a layer are the layers, or the loss, that hand it gradient with no other
  layer between.

The loss reads everything that the network returns, such as the three maps of a backbone. Within a
stage the count starts at the stage's own output: where gradient of the loss or of another stage's
layers comes in. Layers are counted whole: that a mask (PRN) gives the channels of one layer
different sources does not show.

On the command line: `python -m progressive.gradients backbone=elan`. In Python, for a backbone of
the catalog `backbone.trace_backbone`, for any other network `trace.trace`.
"""
