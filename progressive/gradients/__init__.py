"""The paths that gradients take from the loss to the layers of a network: trace and show them.

The terms are those of arXiv 2211.04800. A *layer* is a convolution or a linear layer here. Layers
without a weight matrix or kernel (normalisation, activation, pooling) are not counted.

- A *gradient path* of a layer leads from the loss to the layer. Its length is the number of layers
  on it, including the layer itself.
- The gradient moves by one layer in each step, breadth first. It reaches a layer in step n if a
  gradient path of the layer has length n. These steps are the *gradient timestamps* of the layer:
  the first is the length of its shortest gradient path, the last that of its longest.
- The *gradient sources* of a layer are the layers that pass gradient to it with no other layer in
  between. The loss can be a source too.

The loss reads everything that the network returns, such as the three maps of a backbone. Inside a
stage, paths start at the output of the stage: where gradient arrives from the loss or from the
layers of another stage. All channels of a layer are counted together. A mask (PRN) can give them
different sources, but this is not shown.

On the command line: `python -m progressive.gradients backbone=elan`. From Python:
`backbone.trace_backbone` for a backbone of the catalog, `trace.trace` for any other network.
"""
