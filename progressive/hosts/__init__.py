"""The trainers that a schedule can be applied to, each on its own.

from progressive.hosts.ultralytics import ProgressiveCallback
from progressive.hosts.lightning import ProgressiveCallback
from progressive.hosts.transformers import ProgressiveCallback
from progressive.hosts.pytorch import ProgressiveBatchSampler, apply_schedule
"""
