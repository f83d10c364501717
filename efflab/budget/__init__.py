"""Budgets: limits that an answer must keep, said with its own numbers. Many answers meet one."""

from efflab.budget.deployed import DeployedBudget
from efflab.budget.encoded import EncodedBudget
from efflab.budget.faster import FasterBudget
from efflab.budget.packed import PackedBudget
from efflab.budget.parts import RecipeBudget, StoppedError
from efflab.budget.record import Record, RecordBudget
from efflab.budget.serving import Serving, ServingBudget
from efflab.budget.shipping import ShippedBudget
from efflab.budget.taught import TaughtBudget
from efflab.budget.weights import Budget

__all__ = [
    "Budget",
    "DeployedBudget",
    "EncodedBudget",
    "FasterBudget",
    "PackedBudget",
    "RecipeBudget",
    "Record",
    "RecordBudget",
    "Serving",
    "ServingBudget",
    "ShippedBudget",
    "StoppedError",
    "TaughtBudget",
]
