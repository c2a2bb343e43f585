"""A run's phases, one after the other."""

from collections.abc import Iterable, Iterator

from gancli.variant import Phase


class PhaseSchedule:
    """Which phase a step belongs to: `spans` are the phases with the step that each starts from and ends at."""

    def __init__(self, phases: Iterable[Phase], steps: int) -> None:
        self.spans: list[tuple[Phase, int, int]] = []
        start = 0
        for phase in phases:
            self.spans.append((phase, start, start + phase.steps))
            start += phase.steps
        assert start == steps, "a variant's phases add up to the run's steps"
        self._steps = steps

    def __len__(self) -> int:
        return len(self.spans)

    def empty(self) -> Iterator[str]:
        """A word about each phase that gets no steps though the run has others."""
        for phase, start, end in self.spans:
            if start == end:
                yield f"--steps {self._steps}: none of them is left for phase {phase.name}"

    def after(self, step: int) -> Iterator[tuple[int, Phase, int, int]]:
        """The phases that are not over after so many steps: index, phase, the step to go on from, the step it ends at."""
        for index, (phase, start, end) in enumerate(self.spans):
            if step < end:
                yield index, phase, max(start, step), end

    def at(self, step: int) -> Phase:
        """The phase that takes the step after so many."""
        (phase,) = (phase for phase, start, end in self.spans if start <= step < end)
        return phase

    def of(self, phase: Phase) -> tuple[int, int]:
        """The steps that one of the phases starts from and ends at."""
        ((start, end),) = ((start, end) for each, start, end in self.spans if each is phase)
        return start, end
