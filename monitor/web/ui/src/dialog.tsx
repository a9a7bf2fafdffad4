// Actions ask first: what will happen, the token when there is none yet, and whatever else they need. One dialog at a time.

import {signal} from '@preact/signals';
import {useEffect, useRef, useState} from 'preact/hooks';
import {call, Problem, setToken, token} from './api';
import {status} from './store';

export interface Field { name: string; label: string; value?: string; hint?: string; required?: boolean; options?: [string, string][] }

export interface Asked {
  title: string;
  text: string;
  button: string;
  danger?: boolean;
  fields?: Field[];
  /** Throws what it shows. */
  act: (values: Record<string, string>) => Promise<unknown>;
  done?: string;
}

const asked = signal<Asked | null>(null);
/** What was done last, for everybody to read. */
export const told = signal('');
let forget = 0;

export function tell(text: string) {
  told.value = text;
  clearTimeout(forget);
  forget = setTimeout(() => (told.value = ''), 8000);
}

export const ask = (what: Asked) => (asked.value = what);

/** A call that changes something, as an action of `ask`. */
export const post = (path: string, body: (values: Record<string, string>) => unknown = () => ({})) =>
  (values: Record<string, string>) => call<{text?: string}>(path, {method: 'POST', body: body(values)});

export const askToken = () => ask({
  title: 'Token',
  text: token.value
    ? 'A token is kept in this tab until it is closed. Forget it, or enter another one.'
    : 'Actions need the token of SENTINEL_TOKEN_FILE. It is kept in this tab only, until it is closed.',
  button: 'Keep',
  act: async () => undefined,
});

export function Dialog() {
  const what = asked.value;
  return what ? <Ask key={what.title} what={what} /> : null;
}

function Ask({what}: {what: Asked}) {
  const box = useRef<HTMLDialogElement>(null);
  const [problem, setProblem] = useState('');
  const [busy, setBusy] = useState(false);
  const [wants, setWants] = useState(!token.value || what.title === 'Token');
  const off = status.value?.changes === 'off';
  useEffect(() => {
    const before = document.activeElement;
    box.current?.showModal();
    return () => {
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  const close = () => (asked.value = null);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const values: Record<string, string> = {};
    for (const [key, value] of form) if (typeof value === 'string') values[key] = value.trim();
    if (wants) setToken(values['token'] ?? '');
    setBusy(true);
    setProblem('');
    try {
      const answer = await what.act(values) as {text?: string} | undefined;
      close();
      const said = answer?.text ?? what.done;
      if (said) tell(said);
    } catch (error) {
      const refused = error instanceof Problem && error.status === 401;
      if (refused) {
        setToken('');
        setWants(true);
      }
      setProblem(refused ? 'This token was refused.' : error instanceof Error ? error.message : String(error));
      setBusy(false);
    }
  };
  return (
    <dialog ref={box} aria-labelledby="ask-title" aria-describedby="ask-text" onClose={close}>
      <form onSubmit={submit}>
        <h2 id="ask-title">{what.title}</h2>
        <p id="ask-text">{what.text}</p>
        {off ? <p class="note b-warn">No token is configured (SENTINEL_TOKEN_FILE): changes over the network are off. On the host,
          the commands of <code>sentinel</code> do the same.</p> : null}
        {what.fields?.map((field) => (
          <label key={field.name}>
            <span>{field.label}</span>
            {field.options
              ? <select name={field.name}>{field.options.map(([value, text]) => <option key={value} value={value}>{text}</option>)}</select>
              : <input name={field.name} defaultValue={field.value ?? ''} required={field.required ?? false} autocomplete="off" />}
            {field.hint ? <small>{field.hint}</small> : null}
          </label>
        ))}
        {wants ? (
          <label>
            <span>Token</span>
            <input name="token" type="password" required={what.title !== 'Token'} autocomplete="off" spellcheck={false} />
            <small>Kept in this tab only. {what.title === 'Token' ? 'Left empty, it is forgotten.' : ''}</small>
          </label>
        ) : null}
        {problem ? <p class="note b-bad" role="alert">{problem}</p> : null}
        <footer>
          <button type="button" onClick={close}>Cancel</button>
          <button type="submit" class={what.danger ? 'danger' : 'primary'} disabled={busy}>{busy ? 'Asking…' : what.button}</button>
        </footer>
      </form>
    </dialog>
  );
}
