/** What the palette offers and how typed letters choose from it. */

/** The entries of `all` whose text has the typed words, best first: starts, then word starts. */
export function matching<T extends { text: string }>(all: readonly T[], typed: string): T[] {
  const words = typed
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== '');
  const scored = all.map((entry, place) => {
    const text = entry.text.toLowerCase();
    let score = 0;
    for (const word of words) {
      const at = text.indexOf(word);
      if (at < 0) return { entry, place, score: -1 };
      const wordStart = at > 0 && /[^\p{L}\p{N}]/u.test(text[at - 1] ?? '');
      score += at === 0 ? 3 : wordStart ? 2 : 1;
    }
    return { entry, place, score };
  });
  return scored
    .filter(({ score }) => score >= 0)
    .sort((one, other) => other.score - one.score || one.place - other.place)
    .map(({ entry }) => entry);
}
