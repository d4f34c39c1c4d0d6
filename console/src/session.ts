// Who is signed in. The token stays in sessionStorage: it goes with the tab, and no other site can read it.
import { signal } from "@preact/signals";

export interface Session {
  token: string;
  instance: string;
}

const KEY = "godwit.session";

function stored(): Session | null {
  try {
    const found = JSON.parse(sessionStorage.getItem(KEY) ?? "null");
    return typeof found?.token === "string" && typeof found?.instance === "string" ? found : null;
  } catch {
    return null;
  }
}

export const session = signal<Session | null>(stored());
/** Why the sign-in page is shown, when nobody asked for it. */
export const signedOutBecause = signal("");

export function signIn(next: Session): void {
  sessionStorage.setItem(KEY, JSON.stringify(next));
  signedOutBecause.value = "";
  session.value = next;
}

export function signOut(because = ""): void {
  sessionStorage.removeItem(KEY);
  signedOutBecause.value = because;
  session.value = null;
}
