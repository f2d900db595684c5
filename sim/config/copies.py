"""Copies of configurations, made sooner than by ``copy.deepcopy``."""

from __future__ import annotations

from collections import defaultdict
from copy import deepcopy
from typing import TypeVar

from omegaconf import DictConfig, ListConfig, ValueNode
from omegaconf.base import Box, Metadata, Node

N = TypeVar("N", bound=Node)


def copied(config: N, parent: Box | None = None) -> N:
    """The same configuration or part of one; nothing that is set in one reaches the other.

    ``parent``: what the copy is a part of.
    """
    if not isinstance(config, DictConfig | ListConfig | ValueNode):
        other = deepcopy(config)
        other.__dict__["_parent"] = parent
        return other
    made = object.__new__(type(config))
    fields = made.__dict__  # a configuration takes what is set as its attribute for a key
    fields.update(config.__dict__, _metadata=_about(config._metadata), _parent=parent)
    fields["_flags_cache"] = None
    content = fields.get("_content")
    if isinstance(made, DictConfig) and isinstance(content, dict):
        fields["_content"] = {key: copied(one, made) for key, one in content.items()}
    elif isinstance(made, ListConfig) and isinstance(content, list):
        fields["_content"] = [copied(one, made) for one in content]
    return made


def _about(metadata: Metadata) -> Metadata:
    made = object.__new__(type(metadata))
    made.__dict__.update(metadata.__dict__)
    made.flags = dict(metadata.flags or {})
    made.resolver_cache = defaultdict(dict)
    made.resolver_cache.update({name: {**of} for name, of in metadata.resolver_cache.items()})
    return made
