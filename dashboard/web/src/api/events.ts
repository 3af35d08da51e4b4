// Server-sent events: a page is told when a rollout's log has a new line. The browser resumes a broken stream with Last-Event-ID.
import { useEffect, useRef } from "react";

const SETTLE_MS = 250;

/** Calls `then` soon after a rollout that `wants` accepts has changed. */
export function useEvents(wants: (rollout: string) => boolean, then: () => unknown): void {
  const current = useRef({ wants, then });
  current.current = { wants, then };
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const events = new EventSource("/api/events");
    events.addEventListener("rollout", (event) => {
      if (!current.current.wants(JSON.parse(event.data).rollout)) return;
      clearTimeout(timer);
      timer = setTimeout(() => current.current.then(), SETTLE_MS);
    });
    return () => {
      clearTimeout(timer);
      events.close();
    };
  }, []);
}
