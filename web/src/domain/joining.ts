/** What the page knows of joining and of names that people type: commands, groups, browsers. */

/** The command that lets a host join; `fingerprint` is of the server's CA, where it has one. */
export function joinCommand(
  origin: string,
  token: string,
  fingerprint: string | null | undefined,
): string {
  const parts = ['muster agent', `--server ${origin}`, `--token ${token}`];
  if (typeof fingerprint === 'string') parts.push(`--ca-fingerprint ${fingerprint}`);
  return parts.join(' ');
}

/** Groups or tags as typed: apart by commas, Chinese ones too, or spaces; each once. */
export function wordsOf(text: string): string[] {
  return [...new Set(text.split(/[\s,，、]+/).filter((word) => word !== ''))];
}

/** Whether an enrolment token still lets somebody in. */
export function letsIn(
  token: { revoked: boolean; uses: number; used: number; expires_ms: number },
  now_ms: number,
): boolean {
  return !token.revoked && token.used < token.uses && now_ms < token.expires_ms;
}

const BROWSERS: readonly [RegExp, string][] = [
  [/Edg(?:e|A|iOS)?\//, 'Edge'],
  [/OPR\//, 'Opera'],
  [/Firefox\/|FxiOS\//, 'Firefox'],
  [/Chrome\/|CriOS\/|Chromium\//, 'Chrome'],
  [/Safari\//, 'Safari'],
];
const SYSTEMS: readonly [RegExp, string][] = [
  [/Android/, 'Android'],
  [/iPhone|iPad/, 'iOS'],
  [/Windows/, 'Windows'],
  [/Mac OS X|Macintosh/, 'macOS'],
  [/CrOS/, 'ChromeOS'],
  [/Linux/, 'Linux'],
];

/** A browser's name for itself, short: `Firefox, Linux`; another program's first word. */
export function browserText(user_agent: string): string {
  const [browser, system] = [BROWSERS, SYSTEMS].map(
    (known) => known.find(([pattern]) => pattern.test(user_agent))?.[1],
  );
  const known = [browser, system].filter((name) => name !== undefined);
  return known.length > 0 ? known.join(', ') : (user_agent.split(' ')[0] ?? '');
}
