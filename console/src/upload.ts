// A payload on its way: hashed in a worker, then sent in pieces that the service keeps, so that a cut costs one piece.
import { ask, own, Problem, raw } from "./api";

const PIECE = 8 * 1024 * 1024;
const TRIES = 8;

export interface Digest {
  digest: Uint8Array;
  /** Bytes that were hashed. */
  size: number;
}
const known = new WeakMap<File, Promise<Digest>>();

/** The digest of a file as it lies there; a file that was hashed before is not read again. */
export function hashFile(file: File, progress: (done: number) => void): Promise<Digest> {
  const had = known.get(file);
  if (had) return had;
  const made = work(file, false, progress);
  known.set(file, made);
  made.catch(() => known.delete(file));
  return made;
}
/** The digest of what a .gz file holds. */
export const hashUnpacked = (file: File) => work(file, true, () => {});

function work(file: File, unpack: boolean, progress: (done: number) => void): Promise<Digest> {
  const worker = new Worker(new URL("./hash-worker.ts", import.meta.url), { type: "module" });
  return new Promise<Digest>((resolve, reject) => {
    worker.onmessage = ({ data }) => {
      if (data.digest) resolve(data);
      else if (data.problem) reject(new Problem(`“${file.name}” cannot be read: ${data.problem}`, -1));
      else progress(data.done);
    };
    worker.onerror = (event) => reject(new Problem(`“${file.name}” cannot be hashed: ${event.message}`, -1));
    worker.postMessage({ file, unpack });
  }).finally(() => worker.terminate());
}

export const toHex = (bytes: Uint8Array) => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
export const toBase64 = (bytes: Uint8Array) => btoa(String.fromCharCode(...bytes));

async function isThere(sha256: string): Promise<boolean> {
  try {
    await raw(own(["blobs", sha256]), { method: "HEAD" });
    return true;
  } catch (failure) {
    if (failure instanceof Problem && failure.isMissing) return false;
    throw failure;
  }
}
async function receivedBytes(sha256: string): Promise<number> {
  try {
    return (await ask<{ receivedBytes: number }>(own(["blobs", sha256, "upload"]))).receivedBytes;
  } catch (failure) {
    if (failure instanceof Problem && failure.isMissing) return 0;
    throw failure;
  }
}

/** Sends what the service has not got yet. A service that is away is waited for; what it refuses is thrown. */
export async function uploadFile(file: File, sha256: string, progress: (done: number) => void): Promise<void> {
  for (let fails = 0; ; ) {
    try {
      if (await isThere(sha256)) return progress(file.size);
      if (file.size === 0) {
        await raw(own(["blobs", sha256]), { method: "PUT", body: file });
        return;
      }
      for (let at = await receivedBytes(sha256); at < file.size; ) {
        const end = Math.min(at + PIECE, file.size);
        await raw(own(["blobs", sha256]), { method: "PUT", body: file.slice(at, end), headers: { "Content-Range": `bytes ${at}-${end - 1}/${file.size}` } });
        progress((at = end));
        fails = 0;
      }
      return;
    } catch (failure) {
      const isAway = failure instanceof Problem && (failure.isUnreachable || failure.status === 503 || failure.status === 429);
      if (!isAway || ++fails > TRIES) throw failure;
      await new Promise((done) => setTimeout(done, Math.min(500 * 2 ** fails, 8000)));
    }
  }
}
