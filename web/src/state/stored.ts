/** Choices kept in the browser; where storage is switched off they last as long as the tab. */

/** Reads what was kept, or null. */
export function readStoredText(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

/** Reads a choice, if it is one of those possible. */
export function readStored<T extends string>(key: string, possible: readonly T[]): T | null {
  const text = readStoredText(key);
  return possible.find((value) => value === text) ?? null;
}

/** Keeps a choice, or forgets it for null. */
export function writeStored(key: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(key);
    else localStorage.setItem(key, value);
  } catch {
    // Without storage the choice still holds until the tab is closed.
  }
}
