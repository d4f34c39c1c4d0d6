// Data that stays fresh: asks, asks again while the tab is seen, and keeps what it had when the service is away.
import { signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { Problem } from "./api";

/** When the service last answered; null while it does not. What the banner shows. */
export const unreachableSince = signal<number | null>(null);

export interface Live<T> {
  data?: T;
  problem?: Problem;
  /** Asks at once. */
  again: () => void;
}

/** `key` names what is asked for; "" asks nothing. Every `everyMs` again (0: once). */
export function useLive<T>(key: string, load: (signal: AbortSignal) => Promise<T>, everyMs = 0): Live<T> {
  const [state, setState] = useState<{ key: string; data?: T; problem?: Problem }>({ key });
  const [round, setRound] = useState(0);
  const latest = useRef(load);
  latest.current = load;
  useEffect(() => {
    if (!key) return;
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const turn = async () => {
      if (document.hidden && everyMs) {
        timer = setTimeout(turn, 1000);
        return;
      }
      let wait = everyMs;
      try {
        const data = await latest.current(stop.signal);
        if (stop.signal.aborted) return;
        unreachableSince.value = null;
        setState({ key, data });
      } catch (failure) {
        if (stop.signal.aborted) return;
        const problem = failure instanceof Problem ? failure : new Problem(String(failure), -1);
        const isAway = problem.isUnreachable || problem.status === 503;
        if (isAway) unreachableSince.value ??= Date.now();
        setState((had) => (isAway && had.key === key && had.data !== undefined ? had : { key, problem }));
        if (isAway) wait = 3000;
      }
      if (wait) timer = setTimeout(turn, wait);
    };
    void turn();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [key, everyMs, round]);
  const again = () => setRound((n) => n + 1);
  return state.key === key ? { data: state.data, problem: state.problem, again } : { again };
}
