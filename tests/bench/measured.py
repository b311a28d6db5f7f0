"""What a section of the bench hands back: figures, and the goals that some of them have."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

Say: TypeAlias = Callable[[str], None]


@dataclass(frozen=True)
class Goal:
    """What a figure must be."""

    least: float = -math.inf
    most: float = math.inf

    def __str__(self) -> str:
        bounds = {"at least": self.least, "at most": self.most}
        return " and ".join(f"{word} {bound:g}" for word, bound in bounds.items() if math.isfinite(bound))

    def holds(self, figure: float) -> bool:
        return self.least <= figure <= self.most


@dataclass(frozen=True)
class Measured:
    """``goals`` are by the name of their figure; a figure is anything that JSON can say."""

    figures: Mapping[str, Any]
    goals: Mapping[str, Goal] = field(default_factory=dict)

    @property
    def missed(self) -> list[str]:
        """The figures whose goal does not hold."""
        return [name for name, goal in self.goals.items() if not goal.holds(self.figures[name])]

    def lines(self) -> Iterator[str]:
        """As it is printed."""
        for name, figure in self.figures.items():
            goal = (
                f"  ({'MISSED' if name in self.missed else 'goal'}: {self.goals[name]})" if name in self.goals else ""
            )
            yield f"  {name:44} {figure}{goal}"

    def document(self) -> dict[str, Any]:
        """As it is written down."""
        goals = {name: str(goal) for name, goal in self.goals.items()}
        return {"figures": dict(self.figures), "goals": goals, "missed": self.missed}
