// Hashes one file off the page's thread, as it lies there or unpacked. In: {file, unpack}. Out: {done} bytes while it works, then {digest, size}, or {problem}.
import { Sha256 } from "./sha256";

const PIECE = 4 * 1024 * 1024;

async function* pieces(file: File, unpack: boolean): AsyncGenerator<Uint8Array> {
  if (!unpack) {
    for (let at = 0; at < file.size; at += PIECE) yield new Uint8Array(await file.slice(at, at + PIECE).arrayBuffer());
    return;
  }
  const reader = file.stream().pipeThrough(new DecompressionStream("gzip")).getReader();
  for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
}

self.onmessage = async (event: MessageEvent<{ file: File; unpack: boolean }>) => {
  try {
    const { file, unpack } = event.data;
    const hash = new Sha256();
    let size = 0;
    let told = 0;
    for await (const piece of pieces(file, unpack)) {
      hash.update(piece);
      size += piece.length;
      if (size - told < PIECE) continue;
      self.postMessage({ done: size });
      told = size;
    }
    self.postMessage({ digest: hash.digest(), size });
  } catch (failure) {
    self.postMessage({ problem: String(failure) });
  }
};
