"""The values of local training that all hospitals agree on, checked when they are read."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from sim import limits


class Values(BaseModel):
    """Run-wide values: strict types, nothing unknown, frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Training(Values):
    """Local training: one round is ``local_epochs`` passes over the records.

    With ``local_steps`` it is exactly so many batches. ``proximal``: mu of FedProx (Li et al.
    2020), which adds mu / 2 * |weights - received weights|^2 to the local loss. ``max_norm``: the
    greatest Euclidean length of an update that an honest hospital sends, None for any; a longer one
    is shortened to it before anything else is done with it.
    """

    rounds: int = Field(ge=1, le=100_000)
    local_epochs: int = Field(ge=1, le=limits.EPOCHS)
    local_steps: int | None = Field(ge=1, le=limits.STEPS)
    batch_size: int = Field(ge=1, le=limits.BATCH)
    lr: float = Field(gt=0, allow_inf_nan=False)
    optimizer: Literal["sgd", "adam"]
    proximal: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    max_norm: float | None = Field(default=None, gt=0, le=limits.LARGEST_FLOAT, allow_inf_nan=False)

    @field_validator("lr", "proximal")
    @classmethod
    def _held_by_float32(cls, value: float) -> float:
        if value > limits.LARGEST_FLOAT:
            raise ValueError(f"expected a finite number of at most {limits.LARGEST_FLOAT:g}")
        return value

    @model_validator(mode="after")
    def _pull_held_by_float32(self) -> Training:
        if self.lr * self.proximal > limits.LARGEST_FLOAT:
            raise ValueError(f"expected lr * proximal of at most {limits.LARGEST_FLOAT:g}")
        return self

    def steps(self, n_train: int) -> int:
        """The number of batches that a hospital with ``n_train`` records trains on in one round."""
        return self.local_steps or self.local_epochs * -(-n_train // self.batch_size)
