/** The pure parts of the settings: QR codes read by a decoder, changes of the audit log, words, roles. */
import decode from 'jsqr';
import { expect, test } from 'vitest';

import { matchScreen, returnAddress, settingsAddress, signInAddress } from '../routes.ts';
import { changesOf, readSpan } from './audit.ts';
import { browserText, joinCommand, letsIn, wordsOf } from './joining.ts';
import { isOffered } from './permission.ts';
import { qrModules, qrPath } from './qr.ts';

/** What a camera would read, at four pixels a module. */
function read(modules: boolean[][]): string | undefined {
  const scale = 4;
  const size = (modules.length + 8) * scale;
  const pixels = new Uint8ClampedArray(size * size * 4).fill(255);
  for (let y = 0; y < size; y += 1) {
    for (let x = 0; x < size; x += 1) {
      const dark = modules[Math.floor(y / scale) - 4]?.[Math.floor(x / scale) - 4] === true;
      if (dark) pixels.fill(0, (y * size + x) * 4, (y * size + x) * 4 + 3);
    }
  }
  return decode(pixels, size, size)?.data;
}

test.each([1, 17, 18, 60, 106, 134, 135, 200, 271, 272, 500, 900])(
  'a QR code of %d bytes is read back',
  (length) => {
    const start = 'otpauth://totp/Muster:ada?secret=';
    const text = (start + 'JBSWY3DPEHPK3PXP'.repeat(60)).slice(0, length);
    const modules = qrModules(text);
    expect(modules).not.toBeNull();
    expect(read(modules ?? [])).toBe(text);
  },
);

test('a QR code is as large as its text needs, and no text is too odd for it', () => {
  expect(qrModules('a'.repeat(17))).toHaveLength(21);
  expect(qrModules('a'.repeat(18))).toHaveLength(25);
  expect(qrModules('a'.repeat(2953))).toHaveLength(177);
  expect(qrModules('a'.repeat(2954))).toBeNull();
  expect(read(qrModules('王 & Ада?') ?? [])).toBe('王 & Ада?');
  expect(qrPath('a')?.size).toBe(29);
});

test('a deed shows what it changed and nothing else', () => {
  expect(changesOf({ role: 'viewer', name: 'ada' }, { role: 'admin', name: 'ada' })).toEqual([
    { field: 'role', before: 'viewer', after: 'admin' },
  ]);
  expect(changesOf(null, { groups: ['web'], end: null })).toEqual([
    { field: 'groups', before: null, after: '["web"]' },
  ]);
  expect(changesOf({ uses: 3 }, undefined)).toEqual([{ field: 'uses', before: '3', after: null }]);
  expect(changesOf(null, null)).toEqual([]);
});

test('how far back the log is read', () => {
  expect(readSpan('week')).toBe('week');
  for (const text of [null, '', 'toString', 'year']) expect(readSpan(text)).toBe('all');
});

test('the command to join holds the hash of the script, and names the CA where there is one', () => {
  const joining = { token: 'T', ca_fingerprint: 'sha256:ab', install_sha256: '0f' };
  expect(joinCommand('https://m:6868', joining)).toBe(
    's="$(curl -fsSLk https://m:6868/install.sh || wget -qO- --no-check-certificate https://m:6868/install.sh)"; ' +
      `if [ "$(printf '%s\\n' "$s" | sha256sum | cut -c1-64)" = 0f ]; ` +
      `then printf 'MUSTER_TOKEN=%s\\n%s\\n' T "$s" | $(command -v sudo) sh -s -- --server https://m:6868 --ca-fingerprint sha256:ab; ` +
      `else echo 'not the script that this command was made for: make a new command' >&2; false; fi`,
  );
  const plain = joinCommand('http://m', { token: 'T', ca_fingerprint: null });
  expect(plain).toBe('muster agent --server http://m --token T');
});

test('groups and tags as people type them', () => {
  expect(wordsOf(' web, db，缓存、web  eu ')).toEqual(['web', 'db', '缓存', 'eu']);
  expect(wordsOf(' , ')).toEqual([]);
});

test('a token lets in until it is revoked, used up or over', () => {
  const token = { revoked: false, uses: 2, used: 1, expires_ms: 100 };
  expect(letsIn(token, 99)).toBe(true);
  expect(letsIn(token, 100)).toBe(false);
  expect(letsIn({ ...token, used: 2 }, 0)).toBe(false);
  expect(letsIn({ ...token, revoked: true }, 0)).toBe(false);
});

test.each([
  ['Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0', 'Firefox, Linux'],
  [
    'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile/15E148 Safari/604.1',
    'Safari, iOS',
  ],
  [
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36 Edg/140.0',
    'Edge, Windows',
  ],
  ['curl/8.14.1', 'curl/8.14.1'],
  ['', ''],
])('%s is shown as %s', (agent, shown) => {
  expect(browserText(agent)).toBe(shown);
});

test('a role is offered what it may do', () => {
  expect(isOffered('account', 'viewer')).toBe(true);
  expect(isOffered('about', 'operator')).toBe(true);
  expect(isOffered('people', 'operator')).toBe(false);
  expect(isOffered('people', 'admin')).toBe(true);
});

test('the settings have addresses, and the way back from a sign-in is one of the page', () => {
  expect(matchScreen('/settings')).toEqual({ name: 'settings', section: 'account' });
  expect(matchScreen(settingsAddress('audit'))).toEqual({ name: 'settings', section: 'audit' });
  expect(matchScreen('/settings/nothing').name).toBe('missing');
  expect(returnAddress('/settings/people')).toBe('/settings/people');
  expect(signInAddress(null, 'no_role')).toBe('/sign-in?failed=no_role');
});
