"""The one door for files that others may have written; nothing in them is executed.

| file | function |
|---|---|
| checkpoint of Ultralytics, to go on from | `checkpoints.read_checkpoint` |
| the same, as a model with layers | `checkpoints.load_layers` |
| weights: .safetensors, .pth, .pt, .bin | `weights.read_tensors` |
| label cache | `arrays.refuse_hostile_cache` |
| image cache, .npy | `arrays.refuse_hostile_array` |
| the class of the model in a checkpoint | `pickles.read_names` |
| any other pickle | `pickles.inspect_pickle` |

YAML is read with `yaml.safe_load`, records with `json` and `csv`.
docs/safe-loading.md is for users.
"""
