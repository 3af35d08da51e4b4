"""The loop: look, think, act, until a `StopReason`. Playing never raises for a broken episode: the failure is data.

serve site -> lease browser -> open start page -> [ policy.act -> browser.step ] * -> Trajectory + pictures
"""

import asyncio
import base64
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import NamedTuple

from agent.config import AgentConfig
from agent.effects import effect
from agent.failures import EpisodeFailure, boundary
from agent.safety import Confirm, decide, refusal
from agent.store import Recording
from agent.types import Answer, Failure, Policy, SafetyDecision, Site, Step, StopReason, Task, Trajectory, Turn
from browser_service.client import Browser, BrowserPool
from browser_service.models import Action, Observation, Observe, ObserveRequest, StepReply, Viewport, VisitPage

Serve = Callable[..., AbstractAsyncContextManager[Site]]
"""Called as `serve(task, trajectory_id=...)`; `environments.base.Environment.serve` fits."""

LEASE_TTL_S = 20.0
"""Seconds after which the browser of a player that was killed is free for the one that resumes."""


class Slot(NamedTuple):
    """Which episode this is. Example: `Slot(task, "i0003-click-button.17-m02", group="i0003-click-button.17", member=2, iteration=3)`."""

    task: Task
    trajectory_id: str
    group: str
    member: int
    iteration: int
    attempt: int = 1


class Played(NamedTuple):
    """A finished episode and the pictures that its observations refer to, by sha256."""

    trajectory: Trajectory
    images: dict[str, bytes]


@dataclass
class _Tape:
    """What has been recorded so far; it survives a failure in the middle."""

    goal: str = ""
    steps: list[Step] = field(default_factory=list)
    images: dict[str, bytes] = field(default_factory=dict)
    last: Observation | None = None
    answer: str | None = None
    final_state: dict[str, object] = field(default_factory=dict)
    phases: dict[str, float] = field(default_factory=dict)
    recording: Recording | None = None
    recorded: set[str] = field(default_factory=set)

    async def keep(self, step: Step) -> None:
        """The step is over: it and the new pictures go to the disk, if the episode is recorded as it goes."""
        self.steps.append(step)
        if self.recording is not None:
            new = {sha256: data for sha256, data in self.images.items() if sha256 not in self.recorded}
            await asyncio.to_thread(self.recording.add, step, new)
            self.recorded |= new.keys()

    def see(self, reply: StepReply) -> Observation:
        """Keeps the picture's bytes aside; returns the observation as the policy sees it, with the picture inside."""
        observation = reply.observation
        shot = observation.screenshot
        if shot is not None and shot.data is not None and shot.sha256 not in self.images:
            self.images[shot.sha256] = base64.b64decode(shot.data)
        self.last = observation
        return observation


async def play(
    slot: Slot,
    *,
    policy: Policy,
    pool: BrowserPool,
    serve: Serve,
    viewport: Viewport,
    config: AgentConfig,
    policy_version: int | None = None,
    reuse: str | None = None,
    confirm: Confirm | None = None,
    recording: Recording | None = None,
) -> Played:
    """Plays one episode. Everything that breaks ends up as `trajectory.failure`; only cancellation and bugs escape.

    `reuse`: see `LeaseRequest.reuse`, for sites that trust one another. `confirm` asks a person where `agent.safety` is `ask`.
    `recording` gets each step as soon as it is over (`TrajectoryStore.begin`).
    """
    started, tape = time.monotonic(), _Tape(recording=recording)
    failure: Failure | None = None
    try:
        async with asyncio.timeout(config.episode_deadline_s):
            stop = await _play(slot, tape, policy, pool, serve, viewport, config, reuse, confirm)
    except EpisodeFailure as broken:
        stop, failure = StopReason.FAILED, broken.failure
    except TimeoutError:
        message = f"the episode did not end within {config.episode_deadline_s:g} s (agent.episode_deadline_s)"
        stop = StopReason.FAILED
        failure = Failure(side="infra", code="EPISODE_DEADLINE", message=message, retryable=True)
    trajectory = Trajectory(
        id=slot.trajectory_id,
        task=slot.task,
        goal=tape.goal,
        group=slot.group,
        member=slot.member,
        iteration=slot.iteration,
        steps=tuple(tape.steps),
        stop=stop,
        final_observation=by_reference(tape.last) if tape.last else None,
        answer=tape.answer,
        final_state=tape.final_state,
        failure=failure,
        policy_version=policy_version,
        attempt=slot.attempt,
        seconds=time.monotonic() - started,
        phases=tape.phases,
    )
    return Played(trajectory, tape.images)


async def _play(
    slot: Slot,
    tape: _Tape,
    policy: Policy,
    pool: BrowserPool,
    serve: Serve,
    viewport: Viewport,
    config: AgentConfig,
    reuse: str | None,
    confirm: Confirm | None,
) -> StopReason:
    observe = ObserveRequest(
        screenshot=True,
        # The full prompt tells what an action changed, and elements say more about that than the picture's hash.
        marks=config.interaction_mode == "set_of_marks" or config.prompt == "full",
        draw_marks=config.draw_marks and config.interaction_mode == "set_of_marks",
    )
    begun = time.monotonic()
    async with serve(slot.task, trajectory_id=slot.trajectory_id) as site:
        tape.phases["serve"] = (served := time.monotonic()) - begun
        try:
            async with boundary("browser"), _lease(pool, slot, site, viewport, config, reuse) as browser:
                tape.phases["allocate"] = time.monotonic() - served
                return await _turns(slot.task, tape, policy, browser, site, observe, config, confirm)
        finally:
            tape.final_state = site.final_state()


def _lease(
    pool: BrowserPool, slot: Slot, site: Site, viewport: Viewport, config: AgentConfig, reuse: str | None
) -> AbstractAsyncContextManager[Browser]:
    return pool.lease(
        owner=slot.trajectory_id,
        viewport=viewport,
        ttl_s=LEASE_TTL_S,
        wait_s=config.lease_wait_s,
        reuse=reuse,
        sites=site.sites,
        keep_alive=True,
    )


async def _turns(
    task: Task,
    tape: _Tape,
    policy: Policy,
    browser: Browser,
    site: Site,
    observe: ObserveRequest,
    config: AgentConfig,
    confirm: Confirm | None,
) -> StopReason:
    observation = await _open(task, tape, browser, site, observe, config)
    without_action = 0
    for _ in range(task.max_steps):
        thinking = time.monotonic()
        turn = await policy.act(task, tape.goal, tape.steps, observation, tape.images)
        seconds = {"think": time.monotonic() - thinking}
        decision = await decide(turn, config, confirm)
        step, observation = await _carry_out(turn, decision, observation, tape, browser, observe, config, seconds)
        await tape.keep(step)
        if isinstance(step.action, Answer):
            tape.answer = step.action.text
            return StopReason.ANSWERED
        if decision is not None and decision.decision == "unanswered":
            return StopReason.SAFETY
        if site.is_over():
            return StopReason.DONE
        without_action = without_action + 1 if step.action is None else 0
        if without_action >= config.max_format_errors:
            return StopReason.FORMAT if decision is None else StopReason.SAFETY
    return StopReason.MAX_STEPS


async def _open(
    task: Task, tape: _Tape, browser: Browser, site: Site, observe: ObserveRequest, config: AgentConfig
) -> Observation:
    """The start page, and the instruction on the tape."""
    opening = time.monotonic()
    opened = await browser.step(VisitPage(url=site.start_url), observe, deadline_s=config.step_deadline_s)
    if opened.error is not None:
        failure = Failure(
            side="site", code=opened.error.code, message=f"start page: {opened.error.message}"[:500], retryable=True
        )
        raise EpisodeFailure(failure)
    observation = tape.see(opened)
    tape.goal = task.goal or await site.goal()
    if not observation.settled:  # it was still being built: what the policy sees must be the page that states the goal
        observation = tape.see(await browser.step(Observe(), observe, deadline_s=config.step_deadline_s))
    tape.phases["navigate"] = time.monotonic() - opening
    return observation


async def _carry_out(
    turn: Turn,
    decision: SafetyDecision | None,
    seen: Observation,
    tape: _Tape,
    browser: Browser,
    observe: ObserveRequest,
    config: AgentConfig,
    seconds: dict[str, float],
) -> tuple[Step, Observation]:
    """The step that a turn becomes, and the page after it."""
    action, feedback, after, changed = turn.action, turn.format_error or "", seen, ""
    if decision is not None and decision.decision != "allowed":
        action, feedback = None, refusal(decision)
    if action is not None and not isinstance(action, Answer):
        reply = await _act(browser, action, observe, config, seconds)
        feedback = reply.error.message[:300] if reply.error else ""
        after = tape.see(reply)
        changed = "" if reply.error else effect(seen, after)
    step = Step(
        index=len(tape.steps),
        observation=by_reference(seen),
        completion=turn.completion,
        action=action,
        feedback=feedback,
        effect="; ".join(filter(None, (turn.note, changed))),
        safety=decision,
        seconds=seconds,
    )
    return step, after


async def _act(
    browser: Browser, action: Action, observe: ObserveRequest, config: AgentConfig, seconds: dict[str, float]
) -> StepReply:
    acting = time.monotonic()
    reply = await browser.step(action, observe, deadline_s=config.step_deadline_s)
    seconds["step"] = time.monotonic() - acting
    seconds.update({phase: ms / 1_000 for phase, ms in reply.timings_ms.items()})
    return reply


def by_reference(observation: Observation) -> Observation:
    """The observation as it is stored: the picture named by its hash, without its bytes."""
    if observation.screenshot is None:
        return observation
    return observation.model_copy(update={"screenshot": observation.screenshot.model_copy(update={"data": None})})
