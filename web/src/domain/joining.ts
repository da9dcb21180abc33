/** What the page knows of joining and of names that people type: commands, groups, browsers. */

/** What the server tells of a token with which hosts join. */
interface Joining {
  token: string;
  /** Of the server's CA, where it has one. */
  ca_fingerprint?: string | null | undefined;
  /** SHA-256 of the server's script that installs the agent. */
  install_sha256?: string | null | undefined;
}

/**
 * The line that installs the agent on a host, which then joins. The script is fetched over a connection that nobody
 * verifies, and run only if its SHA-256 is the one in the line. The token goes in by the script's input: command lines
 * can be read by every account of a host. `muster enroll-token` prints the same line.
 */
export function joinCommand(origin: string, joining: Joining): string {
  const { token, ca_fingerprint, install_sha256 } = joining;
  const pin = typeof ca_fingerprint === 'string' ? ` --ca-fingerprint ${ca_fingerprint}` : '';
  if (typeof install_sha256 !== 'string') {
    return `muster agent --server ${origin}${pin} --token ${token}`;
  }
  const script = `${origin}/install.sh`;
  return (
    `s="$(curl -fsSLk ${script} || wget -qO- --no-check-certificate ${script})"; ` +
    `if [ "$(printf '%s\\n' "$s" | sha256sum | cut -c1-64)" = ${install_sha256} ]; ` +
    `then printf 'MUSTER_TOKEN=%s\\n%s\\n' ${token} "$s" | $(command -v sudo) sh -s -- --server ${origin}${pin}; ` +
    `else echo 'not the script that this command was made for: make a new command' >&2; false; fi`
  );
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
