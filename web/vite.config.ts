/**
 * How the page is built: hashed asset names, no inlined assets (the server's content security policy
 * refuses them), and a compressed copy beside each text file so that the binary never compresses.
 */
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

import { precompress } from './build/precompress.ts';

const server = process.env['MUSTER_URL'] ?? 'http://127.0.0.1:6868';

export default defineConfig({
  plugins: [svelte(), precompress()],
  build: {
    target: 'es2023',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  server: { proxy: { '/api': server } },
  test: { include: ['src/**/*.test.ts'], environment: 'node' },
});
