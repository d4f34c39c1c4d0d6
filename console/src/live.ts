// Data that stays fresh: asks, asks again while the tab is seen, and keeps what it had when the service is away.
import { signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { Problem } from "./api";
import { changes, isTold } from "./events";

/** When the service last answered; null while it does not. What the banner shows. */
export const unreachableSince = signal<number | null>(null);

export interface Live<T> {
  data?: T;
  problem?: Problem;
  /** Asks at once. */
  again: () => void;
}

/** Nothing was told for so long: ask anyway, should a word have been lost. */
const ANYWAY_MS = 30_000;
const SOONEST_MS = 1000;

interface Wish {
  /** Ask by the clock even when the service tells of changes: for figures that change without a record, such as counters. */
  byClock?: boolean;
}

/**
 * `key` names what is asked for; "" asks nothing. With `everyMs` it is asked again: when the service tells that something changed (at most
 * once in half that time), else by the clock.
 */
export function useLive<T>(key: string, load: (signal: AbortSignal) => Promise<T>, everyMs = 0, { byClock = false }: Wish = {}): Live<T> {
  const [state, setState] = useState<{ key: string; data?: T; problem?: Problem }>({ key });
  const [round, setRound] = useState(0);
  const latest = useRef(load);
  latest.current = load;
  useEffect(() => {
    if (!key) return;
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let seen = 0; // the change that the last answer may have known
    let asked = 0; // when it came
    let isAsking = false;
    const turn = async () => {
      clearTimeout(timer);
      if (isAsking) return;
      if (document.hidden && everyMs) {
        timer = setTimeout(turn, 1000);
        return;
      }
      let wait = everyMs;
      isAsking = true;
      seen = changes.peek();
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
      } finally {
        isAsking = false;
        asked = Date.now();
      }
      if (wait) timer = setTimeout(look, wait, wait);
    };
    /** By the clock: nothing to do while the service says that nothing has changed. */
    const look = (wait: number) => {
      const isQuiet = isTold.peek() && !byClock && changes.peek() === seen && unreachableSince.peek() === null && Date.now() - asked < ANYWAY_MS;
      if (isQuiet) timer = setTimeout(look, wait, wait);
      else void turn();
    };
    const hear = () => {
      if (!everyMs || byClock || isAsking || changes.peek() === seen) return;
      const early = Math.max(SOONEST_MS, everyMs / 2) - (Date.now() - asked);
      clearTimeout(timer);
      timer = setTimeout(turn, Math.max(0, early));
    };
    const forget = changes.subscribe(hear);
    void turn();
    return () => {
      stop.abort();
      forget();
      clearTimeout(timer);
    };
  }, [key, everyMs, round]);
  const again = () => setRound((n) => n + 1);
  return state.key === key ? { data: state.data, problem: state.problem, again } : { again };
}
