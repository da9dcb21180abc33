/**
 * A Vite plugin that writes `.br` and `.gz` beside each text asset of the build, so that the server
 * sends ready bytes. A copy that would not be smaller is not written.
 */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';

import type { Plugin } from 'vite';

const TEXT = /\.(?:html|js|css|svg|json|txt|webmanifest)$/;
/** Below this size a network packet is not saved. */
const SMALLEST_BYTES = 512;

const brotli = promisify(brotliCompress);
const gzipped = promisify(gzip);

async function compressBeside(path: string): Promise<void> {
  const plain = await readFile(path);
  if (plain.length < SMALLEST_BYTES) return;
  const packed: [string, Buffer][] = [
    ['.br', await brotli(plain, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } })],
    ['.gz', await gzipped(plain, { level: 9 })],
  ];
  for (const [suffix, bytes] of packed) {
    if (bytes.length < plain.length) await writeFile(path + suffix, bytes);
  }
}

/** The plugin; it runs once, after the bundle is on disk. */
export function precompress(): Plugin {
  let folder = '';
  return {
    name: 'muster:precompress',
    apply: 'build',
    configResolved(config) {
      folder = join(config.root, config.build.outDir);
    },
    async closeBundle() {
      const names = await readdir(folder, { recursive: true });
      await Promise.all(
        names.filter((name) => TEXT.test(name)).map((name) => compressBeside(join(folder, name))),
      );
    },
  };
}
