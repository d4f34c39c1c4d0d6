// The service's own word that something has changed: one stream of server-sent events for the page that is seen. EventSource cannot
// send a token, so the stream is read by fetch. A hidden page gives its connection back; without a stream pages ask by the clock.
import { effect, signal } from "@preact/signals";
import { own, raw, Problem } from "./api";
import { session } from "./session";

/** Grows with each change that the service told. */
export const changes = signal(0);
/** False: pages have to ask by the clock. */
export const isTold = signal(false);

const AGAIN_MS = 2000;
const LATER_MS = 60_000;

async function follow(stop: AbortSignal): Promise<void> {
  const answer = await raw(own(["events"]), { signal: stop });
  const reader = answer.body!.getReader();
  isTold.value = true;
  changes.value++; // what happened before is not told
  const decoder = new TextDecoder();
  let rest = "";
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    const blocks = (rest + decoder.decode(next.value, { stream: true })).split("\n\n");
    rest = blocks.pop()!.slice(-4096);
    if (blocks.some((block) => /^event: (changed|lost)$/m.test(block))) changes.value++;
  }
}

async function run(stop: AbortSignal): Promise<void> {
  while (!stop.aborted) {
    let wait = AGAIN_MS;
    try {
      await follow(stop);
    } catch (failure) {
      if (stop.aborted) return;
      // A role without the permission, or too many readers: the clock does as well.
      if (failure instanceof Problem && !failure.isUnreachable) wait = LATER_MS;
    } finally {
      isTold.value = false;
    }
    await new Promise((done) => setTimeout(done, wait));
  }
}

const isSeen = signal(!document.hidden);
document.addEventListener("visibilitychange", () => (isSeen.value = !document.hidden));

/** Once, when the console starts. */
export function listen(): void {
  effect(() => {
    if (!session.value || !isSeen.value) return;
    const stop = new AbortController();
    void run(stop.signal);
    return () => stop.abort();
  });
}
