/**
 * Keys as commands. A screen binds keys while it is shown; of two bindings of a key the newer holds.
 * A binding is a key (`j`), a chord (`mod+k`, Ctrl or Cmd) or two keys in a row (`g f`).
 */

export type Bindings = Record<string, () => void>;

/** The second key of two must follow within this time. */
const SEQUENCE_MS = 1_200;

const bound: Bindings[] = [];
let first: { key: string; at_ms: number } | null = null;

/** Binds keys; the function returned releases them. */
export function bindKeys(bindings: Bindings): () => void {
  bound.push(bindings);
  return () => {
    bound.splice(bound.indexOf(bindings), 1);
  };
}

function isTyping(target: EventTarget | undefined): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || /^(?:INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
}

function find(name: string): (() => void) | undefined {
  return bound.findLast((bindings) => name in bindings)?.[name];
}

/** Acts on a key press, if it is bound; called for every one on the window. */
export function pressed(event: KeyboardEvent): void {
  if (event.altKey || event.isComposing) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const chord = event.ctrlKey || event.metaKey ? `mod+${key}` : key;
  // The query editor stands in a tree of its own, where only the path of the event tells what is typed into.
  // Text fields and windows keep their keys, undo among them; only the palette opens from anywhere.
  const taken =
    isTyping(event.composedPath()[0]) || document.querySelector('dialog[open]') !== null;
  if (taken && chord !== 'mod+k') return;
  const follows = first !== null && event.timeStamp - first.at_ms < SEQUENCE_MS;
  const act = (follows ? find(`${first?.key} ${chord}`) : undefined) ?? find(chord);
  first = { key: chord, at_ms: event.timeStamp };
  if (act === undefined) return;
  event.preventDefault();
  act();
}
