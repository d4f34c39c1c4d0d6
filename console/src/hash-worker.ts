// Hashes one file off the page's thread. In: a File. Out: {done} bytes while it works, then {digest}, or {problem}.
import { Sha256 } from "./sha256";

const PIECE = 4 * 1024 * 1024;

self.onmessage = async (event: MessageEvent<File>) => {
  try {
    const file = event.data;
    const hash = new Sha256();
    for (let at = 0; at < file.size; at += PIECE) {
      hash.update(new Uint8Array(await file.slice(at, at + PIECE).arrayBuffer()));
      self.postMessage({ done: Math.min(at + PIECE, file.size) });
    }
    self.postMessage({ digest: hash.digest() });
  } catch (failure) {
    self.postMessage({ problem: String(failure) });
  }
};
