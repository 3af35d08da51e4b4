// Server-sent events: a page is told when a rollout's log has a new line. The browser resumes a broken stream with Last-Event-ID.
import { useEffect, useRef } from "react";

const SETTLE_MS = 250;

/** Calls `then` soon after a rollout that `wants` accepts has changed; never again before the last call is over. */
export function useEvents(wants: (rollout: string) => boolean, then: () => unknown): void {
  const current = useRef({ wants, then });
  current.current = { wants, then };
  useEffect(() => {
    const calls = new Calls(() => current.current.then());
    const events = new EventSource("/api/events");
    events.addEventListener("rollout", (event) => {
      if (current.current.wants(JSON.parse(event.data).rollout)) calls.ask();
    });
    return () => {
      calls.stop();
      events.close();
    };
  }, []);
}

/** One call at a time, however often it is asked for: a busy server's answers would be cancelled by the next call for ever. */
export class Calls {
  private timer: ReturnType<typeof setTimeout> | undefined;
  private running = false;
  private wanted = false;
  private stopped = false;

  constructor(private readonly call: () => unknown) {}

  /** Has the call made soon, or once more after the one that is running. */
  ask(): void {
    if (this.stopped) return;
    if (this.running) this.wanted = true;
    else this.timer ??= setTimeout(() => this.make(), SETTLE_MS);
  }

  stop(): void {
    clearTimeout(this.timer);
    this.stopped = true;
  }

  private async make(): Promise<void> {
    this.timer = undefined;
    this.running = true;
    this.wanted = false;
    try {
      await this.call();
    } catch {
      // the page shows the error of its query
    }
    this.running = false;
    if (this.wanted) this.ask();
  }
}
