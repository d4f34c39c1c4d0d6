import { useEffect, useState } from "preact/hooks";
import { ask, Problem } from "../api";
import { session, signedOutBecause, signIn } from "../session";
import { Field, Trouble } from "../ui";

export function SignIn() {
  const [token, setToken] = useState("");
  const [instance, setInstance] = useState(session.value?.instance ?? "default");
  const [problem, setProblem] = useState<Problem | null>(null);
  const [isBusy, setBusy] = useState(false);
  useEffect(() => {
    document.title = "Sign in · Godwit";
  }, []);
  const enter = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    const next = { token: token.trim(), instance: instance.trim() || "default" };
    try {
      // Every role may read updates but the hub's; a refusal with 403 still says that the token is good.
      await ask(`/godwit/v1/${encodeURIComponent(next.instance)}/status`, { as: next });
      signIn(next);
    } catch (failure) {
      if (failure instanceof Problem && failure.status === 403) signIn(next);
      else setProblem(failure instanceof Problem ? failure : new Problem(String(failure), -1));
    }
    setBusy(false);
  };
  return (
    <main class="signin">
      <div class="brand">
        <img src="/console/icon.svg" alt="" />
        Godwit
      </div>
      <h1>Sign in</h1>
      {signedOutBecause.value && <div class="note due">{signedOutBecause.value}</div>}
      <form onSubmit={enter}>
        <Field label="Token" help="The first one lies in admin.token of the service's data folder; further ones come from “godwit token create”.">
          {(props) => <input {...props} type="password" required autocomplete="off" spellcheck={false} value={token} onInput={(e) => setToken(e.currentTarget.value)} />}
        </Field>
        <details>
          <summary>Another instance</summary>
          <Field label="Instance" help="“default”, unless the service has several.">
            {(props) => <input {...props} value={instance} onInput={(e) => setInstance(e.currentTarget.value)} />}
          </Field>
        </details>
        {problem && (problem.status === 401 ? <Trouble problem="The service does not know this token. Check that all of it was copied, without blanks." /> : <Trouble problem={problem} />)}
        <p>
          <button disabled={isBusy || !token.trim()}>Sign in</button>
        </p>
        <p class="help">The token stays in this tab and goes when you close it.</p>
      </form>
    </main>
  );
}
